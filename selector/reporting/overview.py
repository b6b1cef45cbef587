"""What the store holds, as pages: all studies, one study, one trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from selector.records import (
    ClassScore,
    EpochRecord,
    RunRow,
    StudyRow,
    StudySummary,
    TrialCounts,
    TrialRow,
)
from selector.reporting import figures, flat
from selector.reporting.base import Column, Page, ShownTable
from selector.reporting.leaderboard import counted

_RANGES = ("uniform", "log_uniform", "int")  # of the study file's domains
_DURATIONS = ("time", "trial_time")  # of its budget, in seconds
_Cells = tuple[tuple[str, ...], ...]


def studies_page(studies: Sequence[StudySummary]) -> Page:
    """Every study in one line."""
    columns = (
        Column("study"),
        Column("metric", drop=2),
        Column("best", right=True),
        Column("backbone", drop=1),
        Column("complete", right=True),
        Column("pruned", right=True, drop=4),
        Column("failed", right=True, drop=3),
        Column("last run", drop=5),
        Column("created (UTC)", drop=6),
    )
    rows = tuple(
        (
            figures.safe(study.name),
            figures.with_arrow(study.metric, study.goal),
            figures.score(study.best_score),
            figures.safe(study.best_backbone or figures.MISSING),
            str(study.counts.complete),
            str(study.counts.pruned),
            str(study.counts.failed),
            study.last_run_status or figures.MISSING,
            figures.moment(study.created_at),
        )
        for study in studies
    )
    return Page(
        title="Studies",
        tables=(ShownTable("", columns, rows),) if rows else (),
        notes=() if rows else ("No study yet. Start one: selector run STUDY.yaml",),
        document=lambda: [_study_line(study) for study in studies],
        flat=lambda: flat.of_studies(studies),
    )


def study_page(
    study: StudyRow, trials: Sequence[TrialRow], *, runs: Sequence[RunRow], counts: TrialCounts
) -> Page:
    """One study: what it searches, its runs, and every trial whatever became of it."""
    return Page(
        title=f"Study {figures.safe(study.name)}",
        facts=_study_facts(study),
        tables=_present(_space_table(study), _runs_table(runs), _trials_table(study, trials)),
        notes=(counted(counts),),
        document=lambda: {
            "study": study.name,
            "metric": {"name": study.metric, "goal": study.goal},
            "data": {
                "fingerprint": study.data.fingerprint,
                "counts": dict(study.data.counts),
                "class_names": list(study.data.class_names),
            },
            "created_at": study.created_at,
            "spec": study.spec,
            "trials": dataclasses.asdict(counts),
            "runs": [dataclasses.asdict(run) for run in runs],
            "trial_rows": [_trial_plain(trial) for trial in trials],
        },
        flat=lambda: flat.of_trials(trials),
    )


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
        tables=_present(
            _epochs_table(study, trial, epochs),
            ShownTable("Metrics", (Column("metric"), Column("value", right=True)), metrics),
            _classes_table(class_scores),
        ),
        document=lambda: {
            "study": study.name,
            **_trial_plain(trial),
            "epoch_rows": [dataclasses.asdict(epoch) for epoch in epochs],
            "class_scores": [dataclasses.asdict(score) for score in class_scores],
        },
        flat=lambda: flat.of_epochs((trial.number, epoch) for epoch in epochs),
    )


# --- studies ------------------------------------------------------------------------------------


def _study_line(study: StudySummary) -> dict[str, Any]:
    return {
        "study": study.name,
        "metric": {"name": study.metric, "goal": study.goal},
        "best": {
            "trial": study.best_trial,
            "backbone": study.best_backbone,
            "score": study.best_score,
        },
        "trials": dataclasses.asdict(study.counts),
        "last_run_status": study.last_run_status,
        "created_at": study.created_at,
    }


def _study_facts(study: StudyRow) -> tuple[tuple[str, str], ...]:
    spec, data = study.spec, study.data
    source = spec.get("data", {})
    sizes = ", ".join(f"{count} {split}" for split, count in data.counts.items())
    facts = (
        ("metric", figures.with_arrow(study.metric, study.goal)),
        ("data", figures.safe(str(source.get("path") or source.get("source") or ""))),
        ("samples", f"{sizes}; {len(data.class_names)} classes"),
        ("fingerprint", figures.safe(data.fingerprint)),
        ("sampler", _member(spec.get("sampler"))),
        ("pruner", _member(spec.get("pruner"))),
        ("budget", _written(spec.get("budget"))),
        ("created (UTC)", figures.moment(study.created_at)),
    )
    return tuple((name, text) for name, text in facts if text)


def _space_table(study: StudyRow) -> ShownTable:
    search: Mapping[str, Any] = study.spec.get("search", {})
    rows = tuple((figures.safe(name), _written(domain)) for name, domain in search.items())
    return ShownTable("Search space", (Column("parameter"), Column("values")), rows)


def _runs_table(runs: Sequence[RunRow]) -> ShownTable:
    columns = (
        Column("run", right=True),
        Column("status"),
        Column("began (UTC)"),
        Column("time", right=True),
        Column("host", drop=1),
    )
    rows = tuple(
        (
            str(run.id),
            run.status,
            figures.moment(run.started_at),
            figures.duration(
                None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()
            ),
            figures.safe(f"{run.host}:{run.pid}"),
        )
        for run in runs
    )
    return ShownTable("Runs", columns, rows)


def _trials_table(study: StudyRow, trials: Sequence[TrialRow]) -> ShownTable:
    columns = (
        Column("trial", right=True),
        Column("state"),
        Column("backbone"),
        Column(figures.with_arrow(study.metric, study.goal), right=True),
        Column("epoch", right=True, drop=5),
        Column("lr", right=True, drop=2),
        Column("freeze", right=True, drop=3),
        Column("batch", right=True, drop=4),
        Column("time", right=True, drop=6),
        Column("cause", drop=1),
    )
    return ShownTable("Trials", columns, tuple(_trial_cells(trial) for trial in trials))


def _trial_cells(trial: TrialRow) -> tuple[str, ...]:
    return (
        str(trial.number),
        trial.state,
        figures.safe(trial.backbone),
        figures.score(trial.score),
        f"{figures.whole(trial.best_epoch)}/{trial.epochs}",
        figures.value(trial.params.get("lr")),
        figures.value(trial.params.get("freeze_depth")),
        figures.value(trial.params.get("batch_size")),
        figures.duration(trial.seconds),
        figures.safe(trial.failure_cause or ""),
    )


# --- one trial ----------------------------------------------------------------------------------


def _trial_plain(trial: TrialRow) -> dict[str, Any]:
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
        ("origin", f"{trial.origin}, seed {trial.seed}"),
        ("epochs", f"{trial.epochs}{best}"),
        ("time", figures.duration(trial.seconds)),
        ("parameters", _parameters(trial)),
        ("latency", "" if trial.latency_ms is None else f"{trial.latency_ms:.1f} ms"),
        ("checkpoint", figures.safe(trial.checkpoint or "")),
        ("failed", figures.safe(cause)),
    )
    return tuple((name, text) for name, text in facts if text)


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
    rows: _Cells = tuple(
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


# --- values of a study file ---------------------------------------------------------------------


def _present(*tables: ShownTable) -> tuple[ShownTable, ...]:
    return tuple(table for table in tables if table.rows)


def _member(member: Any) -> str:
    """A sampler or pruner: its name and options."""
    if not isinstance(member, Mapping):
        return figures.safe(str(member or ""))
    options = {key: part for key, part in member.items() if key not in ("name", "options")}
    options |= member.get("options") or {}
    name = figures.safe(str(member.get("name", "")))
    return f"{name} ({_written(options)})" if options else name


def _written(value: Any) -> str:
    """A value of a study file on one line; what is not set is left out."""
    if isinstance(value, Mapping):
        parts = ((str(key), part) for key, part in value.items() if part is not None)
        return ", ".join(f"{figures.safe(key)} {_part(key, part)}" for key, part in parts)
    if isinstance(value, (list, tuple)):
        return ", ".join(_written(item) for item in value)
    return "" if value is None else figures.value(value)


def _part(key: str, value: Any) -> str:
    if key in _RANGES and isinstance(value, (list, tuple)):
        return " to ".join(_written(end) for end in value)
    if key in _DURATIONS:
        return figures.duration(float(value))
    return _written(value)
