"""Queries that read results back. Each takes an open connection."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.sql import Select

from selector.errors import ConflictError, InputError, visible
from selector.records import ClassScore, EpochRecord, Floats, TrialOutcome, TrialRow
from selector.store.encode import unpack_predictions
from selector.store.studies import study_id
from selector.store.tables import (
    ArtifactTable,
    ClassScoreTable,
    EpochTable,
    MetricTable,
    PredictionTable,
    TrialTable,
)
from selector.store.trials import CHECKPOINT, trial_id

# Folders and a file, none of them hidden, `.` or `..`; what `save_checkpoint` gives.
_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*[A-Za-z0-9_][A-Za-z0-9._-]*")


def list_trials(connection: Connection, study: str) -> tuple[TrialRow, ...]:
    """Every trial of a study by number, with its metrics and checkpoint."""
    key = study_id(connection, study)
    rows = connection.execute(
        select(TrialTable.__table__).where(TrialTable.study_id == key).order_by(TrialTable.number)
    ).all()
    metrics: dict[int, dict[str, float]] = {}
    for row in connection.execute(_of_study(MetricTable, key).order_by(MetricTable.name)).all():
        metrics.setdefault(row.trial_id, {})[row.name] = _number(row.value)
    files = connection.execute(
        _of_study(ArtifactTable, key).where(ArtifactTable.kind == CHECKPOINT)
    ).all()
    checkpoints = {row.trial_id: row for row in files}
    return tuple(_trial_row(row, metrics.get(row.id, {}), checkpoints.get(row.id)) for row in rows)


def list_outcomes(connection: Connection, study: str) -> tuple[TrialOutcome, ...]:
    """State, score, epochs, size and origin of every trial of a study, by number."""
    table = TrialTable
    rows: Sequence[Any] = connection.execute(
        select(
            table.number,
            table.state,
            table.score,
            table.epochs,
            table.parameters,
            table.retried,
            table.origin,
        )
        .where(table.study_id == study_id(connection, study))
        .order_by(table.number)
    ).all()
    # Thousands of rows are read before every trial: unpacking them is much cheaper than names.
    return tuple(
        TrialOutcome(
            number=number,
            state=state,
            score=score,
            epochs=epochs,
            parameters=parameters,
            retried=retried,
            origin=origin,
        )
        for number, state, score, epochs, parameters, retried, origin in rows
    )


def list_epochs(connection: Connection, study: str) -> tuple[tuple[int, EpochRecord], ...]:
    """Every stored epoch of a study with its trial's number, in order."""
    key = study_id(connection, study)
    rows = connection.execute(
        select(TrialTable.number, EpochTable.__table__)
        .join(EpochTable, EpochTable.trial_id == TrialTable.id)
        .where(TrialTable.study_id == key)
        .order_by(TrialTable.number, EpochTable.epoch)
    ).all()
    return tuple((row.number, _epoch_record(row)) for row in rows)


def list_class_scores(connection: Connection, study: str, number: int) -> tuple[ClassScore, ...]:
    """The scores of each class for one candidate; empty where the trial left none."""
    key = trial_id(connection, study, number)
    rows = connection.execute(
        select(ClassScoreTable.__table__)
        .where(ClassScoreTable.trial_id == key)
        .order_by(ClassScoreTable.position)
    ).all()
    return tuple(ClassScore(r.name, r.precision, r.recall, r.f1, r.support) for r in rows)


def log_probabilities(connection: Connection, study: str, number: int) -> Floats:
    """One candidate's validation log-probabilities, (n_validation, n_classes)."""
    key = trial_id(connection, study, number)
    row = connection.execute(
        select(PredictionTable.__table__).where(PredictionTable.trial_id == key)
    ).one_or_none()
    if row is None:
        raise InputError(
            f"Trial {number} of study '{study}' has no predictions; only complete trials have."
        )
    return unpack_predictions(row)


def predicted_trials(connection: Connection, study: str) -> tuple[int, ...]:
    """The numbers of the trials that have predictions."""
    key = study_id(connection, study)
    found: Iterable[int] = connection.scalars(
        select(TrialTable.number)
        .join(PredictionTable, PredictionTable.trial_id == TrialTable.id)
        .where(TrialTable.study_id == key)
        .order_by(TrialTable.number)
    )
    return tuple(found)


def _of_study(table: Any, key: int) -> Select[Any]:
    of_trial = table.trial_id == TrialTable.id
    return select(table.__table__).join(TrialTable, of_trial).where(TrialTable.study_id == key)


def _trial_row(row: Any, metrics: dict[str, float], checkpoint: Any) -> TrialRow:
    return TrialRow(
        number=row.number,
        state=row.state,
        backbone=row.backbone,
        params=row.params,
        origin=row.origin,
        seed=row.seed,
        score=row.score,
        best_epoch=row.best_epoch,
        epochs=row.epochs,
        seconds=row.seconds,
        failure_cause=row.failure_cause,
        failure_message=row.failure_message,
        parameters=row.parameters,
        trained_parameters=row.trained_parameters,
        latency_ms=row.latency_ms,
        checkpoint=_name_below(checkpoint.file) if checkpoint is not None else None,
        checkpoint_sha256=checkpoint.sha256 if checkpoint is not None else None,
        metrics=metrics,
        started_at=row.started_at,
        ended_at=row.ended_at,
        retry_of=row.retry_of,
        retried=row.retried,
        micro_batch=row.micro_batch,
        norm_by_micro_batch=row.norm_by_micro_batch,
    )


def _name_below(name: str) -> str:
    """The stored name of a file, made sure to stay below the artifacts folder.

    Whoever can write to the database could otherwise have any file of this machine read.
    """
    if not _NAME.fullmatch(name):
        raise ConflictError(
            f"The store names the file '{visible(name)}', which is no name below the artifacts "
            "folder. Nobody but selector writes such rows; restore the database from a copy."
        )
    return name


def _epoch_record(row: Any) -> EpochRecord:
    return EpochRecord(
        epoch=row.epoch,
        train_loss=_number(row.train_loss),
        validation_loss=_number(row.validation_loss),
        score=_number(row.score),
        lr=_number(row.lr),
        seconds=_number(row.seconds),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value
