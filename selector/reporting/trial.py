"""One trial as a page: its parameters, its epochs, and what it scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from selector.records import ClassScore, EpochRecord, StudyRow, TrialRow
from selector.reporting import figures, flat
from selector.reporting.base import Column, Page, ShownTable, present
from selector.selection.retention import not_kept


def trial_page(
    study: StudyRow,
    trial: TrialRow,
    *,
    epochs: Sequence[EpochRecord],
    class_scores: Sequence[ClassScore],
) -> Page:
    """One trial: its parameters, its epochs, and what it scored."""
    metrics = tuple((name, figures.score(value)) for name, value in trial.metrics.items())
    return Page(
        title=f"Trial {trial.number} of study {figures.safe(study.name)}",
        facts=_trial_facts(study, trial),
        tables=present(
            _epochs_table(study, trial, epochs),
            ShownTable("Metrics", (Column("metric"), Column("value", right=True)), metrics),
            _classes_table(class_scores),
        ),
        document=lambda: {
            "study": study.name,
            **trial_plain(trial),
            "epoch_rows": [dataclasses.asdict(epoch) for epoch in epochs],
            "class_scores": [dataclasses.asdict(score) for score in class_scores],
        },
        flat=lambda: flat.of_epochs((trial.number, epoch) for epoch in epochs),
    )


def trial_plain(trial: TrialRow) -> dict[str, Any]:
    """A trial in plain types, under its number."""
    plain = dataclasses.asdict(trial)
    return {"trial": plain.pop("number"), **plain}


def _trial_facts(study: StudyRow, trial: TrialRow) -> tuple[tuple[str, str], ...]:
    best = "" if trial.best_epoch is None else f", best epoch {trial.best_epoch}"
    cause = f"{trial.failure_cause}: {trial.failure_message or ''}" if trial.failure_cause else ""
    facts = (
        ("state", trial.state),
        (figures.with_arrow(study.metric, study.goal), figures.score(trial.score)),
        ("backbone", figures.safe(trial.backbone)),
        *(
            (figures.safe(name), figures.value(value))
            for name, value in trial.params.items()
            if name != "backbone"
        ),
        ("samples at once", _micro_batch(trial)),
        ("origin", f"{_origin(trial)}, seed {trial.seed}"),
        ("epochs", f"{trial.epochs}{best}"),
        ("time", figures.duration(trial.seconds)),
        ("parameters", _parameters(trial)),
        ("latency", "" if trial.latency_ms is None else f"{trial.latency_ms:.1f} ms"),
        ("checkpoint", figures.safe(_checkpoint(study, trial))),
        ("failed", figures.safe(cause)),
        ("run again", "under another number" if trial.retried else ""),
    )
    return tuple((name, text) for name, text in facts if text)


def _checkpoint(study: StudyRow, trial: TrialRow) -> str:
    if trial.state != "complete":
        return ""
    return trial.checkpoint or not_kept(study, trial)


def _origin(trial: TrialRow) -> str:
    return trial.origin if trial.retry_of is None else f"{trial.origin} of trial {trial.retry_of}"


def _micro_batch(trial: TrialRow) -> str:
    if trial.micro_batch is None:
        return ""
    norm = ", which batch normalisation was trained on" if trial.norm_by_micro_batch else ""
    return f"{trial.micro_batch}: memory had no room for a whole batch{norm}"


def _parameters(trial: TrialRow) -> str:
    if trial.parameters is None:
        return ""
    trained = figures.millions(trial.trained_parameters)
    return f"{figures.millions(trial.parameters)} M, {trained} M of them trained"


def _epochs_table(study: StudyRow, trial: TrialRow, epochs: Sequence[EpochRecord]) -> ShownTable:
    columns = (
        Column("epoch", right=True),
        Column(figures.with_arrow(study.metric, study.goal), right=True),
        Column("train loss", right=True),
        Column("validation loss", right=True),
        Column("lr", right=True, drop=1),
        Column("time", right=True, drop=2),
    )
    rows = tuple(
        (
            str(epoch.epoch),
            figures.score(epoch.score),
            figures.score(epoch.train_loss),
            figures.score(epoch.validation_loss),
            figures.value(epoch.lr),
            figures.duration(epoch.seconds),
        )
        for epoch in epochs
    )
    best = frozenset(i for i, epoch in enumerate(epochs) if epoch.epoch == trial.best_epoch)
    return ShownTable("Epochs", columns, rows, best)


def _classes_table(scores: Sequence[ClassScore]) -> ShownTable:
    columns = (
        Column("class"),
        Column("precision", right=True),
        Column("recall", right=True),
        Column("f1", right=True),
        Column("samples", right=True),
    )
    rows = tuple(
        (
            figures.safe(score.name),
            figures.score(score.precision),
            figures.score(score.recall),
            figures.score(score.f1),
            str(score.support),
        )
        for score in scores
    )
    return ShownTable("Classes", columns, rows)
