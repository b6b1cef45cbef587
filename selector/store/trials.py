"""Queries on trials as they run: taken, finished, given back. Each takes an open connection."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from selector.errors import ConflictError, InputError, TrialFailedError, TrialLostError
from selector.records import Candidate, EpochRecord, Lease, TrialEnd, TrialStart
from selector.store.encode import pack_predictions
from selector.store.finals import insert_heat
from selector.store.leases import lease_end
from selector.store.passwords import without_password
from selector.store.studies import study_id
from selector.store.tables import (
    ArtifactTable,
    ClassScoreTable,
    EpochTable,
    MetricTable,
    PredictionTable,
    TrialTable,
)

CHECKPOINT = "checkpoint"


def trial_id(connection: Connection, study: str, number: int) -> int:
    """The key of a trial; an unknown number is an InputError."""
    key = study_id(connection, study)
    of_study = TrialTable.study_id == key
    found = connection.scalar(select(TrialTable.id).where(of_study, TrialTable.number == number))
    if found is not None:
        return found
    known = connection.scalars(
        select(TrialTable.number).where(of_study).order_by(TrialTable.number)
    ).all()
    numbers = f"Known: {known[0]} to {known[-1]}" if known else "It has none yet"
    raise InputError(f"Study '{study}' has no trial {number}. {numbers}.")


def start_trial(
    connection: Connection, study: str, run_id: int, start: TrialStart, *, lease: Lease | None
) -> None:
    """Record a trial as running; one that was handed out before starts over, with nothing left."""
    key = study_id(connection, study)
    connection.execute(
        delete(TrialTable).where(TrialTable.study_id == key, TrialTable.number == start.number)
    )
    values = {
        "study_id": key,
        "run_id": run_id,
        "number": start.number,
        "state": "running",
        "backbone": start.backbone,
        "params": dict(start.params),
        "origin": start.origin,
        "seed": start.seed,
        "retry_of": start.retry_of,
        "epochs": 0,
        "started_at": dt.datetime.now(dt.UTC),
    }
    if lease is not None:
        values["lease_token"] = lease.token
        values["lease_until"] = lease_end(connection, lease)
    row = connection.execute(insert(TrialTable).values(values).returning(TrialTable.id))
    if start.heat is not None:
        insert_heat(connection, row.scalar_one(), start.heat)


def finish_trial(connection: Connection, study: str, end: TrialEnd, *, lease: Lease | None) -> None:
    """Record all that a trial leaves behind.

    Raises TrialFailedError("non_finite") for a candidate without a finite score: what is not a
    number can never rank. A pruned or failed trial may have no score. TrialLostError where the
    trial is no longer that of `lease`; to finish twice under the same one is harmless.
    """
    _require_candidate(end)
    key = trial_id(connection, study, end.number)
    if lease is not None:
        _require_lease(connection, key, lease)
    _forget_results(connection, key)
    values: dict[str, Any] = {
        "state": end.state,
        "score": _finite(end.score),
        "best_epoch": end.best_epoch,
        "epochs": len(end.epochs),
        "seconds": _finite(end.seconds),
        "failure_cause": end.failure_cause,
        "failure_message": _message(connection, end),
        "micro_batch": end.micro_batch,
        "norm_by_micro_batch": end.norm_by_micro_batch,
        "ended_at": dt.datetime.now(dt.UTC),
        "lease_until": None,
        # Ended by whoever found it, it is no longer that of the worker which lost it.
        "lease_token": lease.token if lease is not None else None,
    }
    if end.candidate is not None:
        values["parameters"] = end.candidate.parameters
        values["trained_parameters"] = end.candidate.trained_parameters
        values["latency_ms"] = _finite(end.candidate.latency_ms)
    connection.execute(update(TrialTable).where(TrialTable.id == key).values(values))
    if end.epochs:
        connection.execute(insert(EpochTable), [_epoch_values(key, e) for e in end.epochs])
    if end.candidate is not None:
        _insert_candidate(connection, key, end.candidate)


def release_trial(connection: Connection, study: str, number: int, *, lease: Lease | None) -> None:
    """Let a running trial wait to be taken again; ConflictError for one that has ended.

    With a `lease`, TrialLostError where the trial is no longer that lease's own. A trial that was
    never recorded here, because its worker died while taking it, waits already.
    """
    found = connection.execute(
        select(TrialTable.id, TrialTable.state).where(
            TrialTable.study_id == study_id(connection, study), TrialTable.number == number
        )
    ).one_or_none()
    if found is None:
        return
    # First: who lost it is told that, also where another worker has ended it since.
    if lease is not None:
        _require_lease(connection, found.id, lease)
    if found.state not in ("running", "waiting"):
        raise ConflictError(
            f"Trial {number} of study '{study}' is {found.state}; only a running one is released."
        )
    waits = {"state": "waiting", "lease_token": None, "lease_until": None}
    connection.execute(update(TrialTable).where(TrialTable.id == found.id).values(waits))


def retry_trials(connection: Connection, study: str, numbers: Collection[int]) -> None:
    """Mark failed trials as to be run again; they no longer count. ConflictError for others."""
    changed = connection.execute(
        update(TrialTable)
        .where(
            TrialTable.study_id == study_id(connection, study),
            TrialTable.number.in_(numbers),
            TrialTable.state == "failed",
            TrialTable.retried.is_(False),
        )
        .values(retried=True)
    )
    if changed.rowcount != len(numbers):
        listed = ", ".join(map(str, sorted(numbers)))
        raise ConflictError(
            f"Trials {listed} of study '{study}' are not all failed and still counted; only such "
            "trials are run again."
        )


def _insert_candidate(connection: Connection, key: int, candidate: Candidate) -> None:
    metrics = [
        {"trial_id": key, "name": name, "value": _finite(value)}
        for name, value in candidate.metrics.items()
    ]
    if metrics:
        connection.execute(insert(MetricTable), metrics)
    scores = [
        {
            "trial_id": key,
            "position": position,
            "name": score.name,
            "precision": score.precision,
            "recall": score.recall,
            "f1": score.f1,
            "support": score.support,
        }
        for position, score in enumerate(candidate.class_scores)
    ]
    if scores:
        connection.execute(insert(ClassScoreTable), scores)
    predictions = pack_predictions(candidate.log_probabilities)
    connection.execute(insert(PredictionTable), {"trial_id": key, **predictions})
    if candidate.checkpoint is not None:
        connection.execute(insert(ArtifactTable), _checkpoint_values(key, candidate))


def _checkpoint_values(key: int, candidate: Candidate) -> dict[str, Any]:
    return {
        "trial_id": key,
        "kind": CHECKPOINT,
        "file": candidate.checkpoint,
        "sha256": candidate.checkpoint_sha256,
        "bytes": candidate.checkpoint_bytes,
        "created_at": dt.datetime.now(dt.UTC),
    }


def _epoch_values(key: int, epoch: EpochRecord) -> dict[str, Any]:
    return {
        "trial_id": key,
        "epoch": epoch.epoch,
        "train_loss": _finite(epoch.train_loss),
        "validation_loss": _finite(epoch.validation_loss),
        "score": _finite(epoch.score),
        "lr": _finite(epoch.lr),
        "seconds": _finite(epoch.seconds),
    }


def _require_lease(connection: Connection, key: int, lease: Lease) -> None:
    """Refuse whoever lost the trial; until the transaction ends, nobody can lose it."""
    row = select(TrialTable.lease_token, TrialTable.number).where(TrialTable.id == key)
    found = connection.execute(row.with_for_update()).one_or_none()
    if found is None or found.lease_token != lease.token:
        raise TrialLostError(
            "Its lease ran out while this worker could not renew it, and it was handed out again. "
            "What this worker has of it is dropped."
        )


def _forget_results(connection: Connection, key: int) -> None:
    """Drop what an earlier end of the same trial left, so that telling it twice is harmless."""
    for table in (EpochTable, MetricTable, ClassScoreTable, PredictionTable, ArtifactTable):
        connection.execute(delete(table).where(table.trial_id == key))


def _message(connection: Connection, end: TrialEnd) -> str | None:
    """Why it failed; a driver's own words may quote the address, password included."""
    text = end.failure_message
    return None if text is None else without_password(text, connection.engine.url)


def _require_candidate(end: TrialEnd) -> None:
    if end.state != "complete":
        return
    if end.score is None or not math.isfinite(end.score):
        raise TrialFailedError(
            "non_finite",
            f"Trial {end.number} ended with score {end.score}; a candidate needs a finite one.",
        )
    if end.candidate is None or end.best_epoch is None:
        raise ValueError(f"Complete trial {end.number} needs a candidate and its best epoch.")


def _finite(value: float | None) -> float | None:
    """The value, or None (NULL) for what no database compares well."""
    return None if value is None or not math.isfinite(value) else float(value)
