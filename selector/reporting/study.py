"""One study as a page: what it searches, its runs, and every trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from selector.records import (
    Finals,
    HistoryAudit,
    NetworkCost,
    Opening,
    ProxyAudit,
    RunRow,
    StudyRow,
    StudyState,
    TrialCounts,
    TrialRow,
    Verdict,
)
from selector.reporting import figures, finals, flat, history, proxies
from selector.reporting.base import Column, Page, ShownTable, present
from selector.reporting.costs import costs_table
from selector.reporting.failures import ended_early_table, failures_table, pause_of
from selector.reporting.leaderboard import counted
from selector.reporting.trial import trial_plain
from selector.selection.seal import begun_after, opened_at
from selector.spec.schema import LimitsSpec

_RANGES = ("uniform", "log_uniform", "int")  # of the study file's domains
_DURATIONS = ("time", "trial_time")  # of its budget, in seconds


def study_page(
    study: StudyRow,
    trials: Sequence[TrialRow],
    *,
    runs: Sequence[RunRow],
    counts: TrialCounts,
    audit: ProxyAudit | None = None,
    taken_over: HistoryAudit | None = None,
    standings: Finals | None = None,
    verdict: Verdict | None = None,
    openings: Sequence[Opening] = (),
    costs: Sequence[NetworkCost] = (),
    state: StudyState | None = None,
) -> Page:
    """One study: what it searches, its runs, and every trial whatever became of it."""
    after = begun_after(trials, opened_at(openings))
    return Page(
        title=f"Study {figures.safe(study.name)}",
        facts=(
            *((("state", state),) if state else ()),
            *((("paused", pause),) if (pause := pause_of(runs)) else ()),
            *_study_facts(study),
        ),
        tables=present(
            _space_table(study),
            costs_table(costs, LimitsSpec.model_validate(study.spec.get("limits", {}))),
            _runs_table(runs),
            ended_early_table(runs, trials),
            *history.tables(taken_over),
            *proxies.tables(audit),
            _trials_table(study, trials),
            *finals.tables(standings, verdict),
            *finals.opening_tables(openings, study.name),
            failures_table(trials),
        ),
        notes=(
            counted(counts),
            *history.notes(taken_over),
            *proxies.notes(audit),
            *finals.notes(standings, verdict, openings, study=study.name, after=after),
        ),
        document=lambda: {
            "study": study.name,
            "state": state,
            "paused": pause_of(runs),
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
            "trial_rows": [trial_plain(trial) for trial in trials],
            **finals.document(standings, verdict, openings, after=after),
            **history.document(taken_over),
            **proxies.document(audit),
            **({"costs": [dataclasses.asdict(cost) for cost in costs]} if costs else {}),
        },
        flat=lambda: flat.of_trials(trials),
    )


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


# --- values of a study file ---------------------------------------------------------------------


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
