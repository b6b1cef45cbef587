"""Results as flat tables of raw values, for CSV and for data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from selector.records import (
    ClassScore,
    EpochRecord,
    Leaderboard,
    RunRow,
    StudySummary,
    TrialRow,
)
from selector.reporting.base import Cell, FlatTable
from selector.selection.leaderboard import FRONTS

_CANDIDATE = (
    "rank",
    "trial",
    "backbone",
    "score",
    "ci_low",
    "ci_high",
    "tied_with_best",
    "best_epoch",
    "epochs",
    "seconds",
    "parameters",
    "latency_ms",
    "tie_group",
    "probability_best",
    "behind",
    "behind_low",
    "behind_high",
)
_TRIAL = (
    "number",
    "state",
    "backbone",
    "score",
    "best_epoch",
    "epochs",
    "seconds",
    "origin",
    "seed",
    "parameters",
    "trained_parameters",
    "latency_ms",
    "failure_cause",
    "failure_message",
    "checkpoint",
    "started_at",
    "ended_at",
)
_FINAL = ("rank", "mean", "sd", "ci_low", "ci_high", "tied_with_best", "reference")
_EPOCH = ("epoch", "train_loss", "validation_loss", "score", "lr", "seconds")
_CLASS = ("name", "precision", "recall", "f1", "support")
_RUN = ("id", "status", "started_at", "ended_at", "host", "pid", "command", "fingerprint")


def of_leaderboard(leaderboard: Leaderboard) -> FlatTable:
    """One row a candidate, its `param.` and `metric.` columns, and on which fronts it is.

    Once finals have run, the `final.` columns say what came of those candidates that were in them.
    """
    table = _with_params_and_metrics(leaderboard.candidates, _CANDIDATE, _CANDIDATE)
    fronts = [tuple(cost in row.pareto for cost in FRONTS) for row in leaderboard.candidates]
    columns = (*table.columns, *(f"pareto.{cost}" for cost in FRONTS))
    rows = [(*row, *front) for row, front in zip(table.rows, fronts, strict=True)]
    if leaderboard.finals is None:
        return FlatTable(columns, tuple(rows))
    finalists = {row.trial: row for row in leaderboard.finals.finalists}
    final = []
    for candidate, cells in zip(leaderboard.candidates, rows, strict=True):
        found = finalists.get(candidate.trial)
        final.append((*cells, *(_pick(found, _FINAL) if found else (None,) * len(_FINAL))))
    return FlatTable((*columns, *(f"final.{name}" for name in _FINAL)), tuple(final))


def of_trials(trials: Sequence[TrialRow]) -> FlatTable:
    """One row a trial, in every state, then its `param.` and `metric.` columns."""
    return _with_params_and_metrics(trials, _TRIAL, ("trial", *_TRIAL[1:]))


def of_epochs(epochs: Iterable[tuple[int, EpochRecord]]) -> FlatTable:
    """One row an epoch of a trial."""
    rows = tuple((trial, *_pick(epoch, _EPOCH)) for trial, epoch in epochs)
    return FlatTable(("trial", *_EPOCH), rows)


def of_class_scores(scores: Iterable[tuple[int, ClassScore]]) -> FlatTable:
    """One row a class of a candidate."""
    rows = tuple((trial, *_pick(score, _CLASS)) for trial, score in scores)
    return FlatTable(("trial", "class", *_CLASS[1:]), rows)


def of_runs(runs: Iterable[RunRow]) -> FlatTable:
    """One row a run."""
    return FlatTable(("run", *_RUN[1:]), tuple(_pick(run, _RUN) for run in runs))


def of_studies(studies: Iterable[StudySummary]) -> FlatTable:
    """One row a study."""
    plain = ("name", "metric", "goal", "best_score", "best_trial", "best_backbone")
    counts = ("complete", "pruned", "failed", "running")
    last = ("trials_left", "state", "last_run_status", "created_at")
    rows = tuple(
        (*_pick(study, plain), *_pick(study.counts, counts), *_pick(study, last))
        for study in studies
    )
    return FlatTable((*plain, *counts, *last), rows)


def _with_params_and_metrics(
    records: Sequence[Any], fields: Sequence[str], names: Sequence[str]
) -> FlatTable:
    params = _keys(record.params for record in records)
    metrics = _keys(record.metrics for record in records)
    # The backbone is a column of its own already.
    params.pop("backbone", None)
    columns = (*names, *(f"param.{key}" for key in params), *(f"metric.{key}" for key in metrics))
    rows = tuple(
        (
            *_pick(record, fields),
            *(record.params.get(key) for key in params),
            *(record.metrics.get(key) for key in metrics),
        )
        for record in records
    )
    return FlatTable(columns, rows)


def _keys(mappings: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    """The keys of all mappings in the order they are first met."""
    return {key: None for mapping in mappings for key in mapping}


def _pick(record: object, fields: Sequence[str]) -> tuple[Cell, ...]:
    return tuple(getattr(record, field) for field in fields)
