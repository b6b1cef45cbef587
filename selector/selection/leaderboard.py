"""The leaderboard: complete trials in order of a metric, with intervals and ties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selector import metrics
from selector.errors import InputError
from selector.records import (
    Floats,
    Goal,
    Leaderboard,
    LeaderboardRow,
    StudyRow,
    TrialCounts,
    TrialRow,
)
from selector.selection import resample
from selector.selection.best import order
from selector.selection.intervals import percentile_interval
from selector.selection.ties import tied_with_best


def build(
    study: StudyRow,
    trials: Sequence[TrialRow],
    *,
    predictions: Mapping[int, Floats],
    counts: TrialCounts,
    metric: str | None = None,
    seed: int = 0,
) -> Leaderboard:
    """The ranking of a study's candidates by `metric`, by default the study's own.

    A candidate is a complete trial with a finite value of the metric. Equal values are ordered by
    fewer parameters, then by the earlier trial. `predictions` maps trial numbers to validation
    log-probabilities (n_validation, n_classes); a candidate without them has a NaN interval and is
    never called tied. Raises InputError for an unknown metric, or one the study never recorded.
    """
    name = metric or study.metric
    goal = study.goal if name == study.metric else metrics.goal_of(name)
    ranked = _ranked(study, trials, name, goal)
    certainty = _certainty(study, ranked, predictions, name, goal, seed)
    rows = (
        _row(rank, candidate, certainty.get(candidate.trial.number, _UNKNOWN))
        for rank, candidate in enumerate(ranked, start=1)
    )
    return Leaderboard(
        study=study.name,
        metric=name,
        goal=goal,
        fingerprint=study.data.fingerprint,
        counts=study.data.counts,
        candidates=tuple(rows),
        trials=counts,
    )


_ALIKE = 1e-9  # scores no further apart than rounding


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A trial and its value of the metric asked for."""

    trial: TrialRow
    value: float


@dataclass(frozen=True, slots=True)
class _Certainty:
    """How sure the value of one candidate is."""

    low: float
    high: float
    tied: bool


_UNKNOWN = _Certainty(math.nan, math.nan, False)


def _ranked(study: StudyRow, trials: Sequence[TrialRow], metric: str, goal: Goal) -> list[_Ranked]:
    _require_recorded(study, trials, metric)
    candidates = [
        _Ranked(trial, value)
        for trial in trials
        if trial.state == "complete"
        and (value := _value(study, trial, metric)) is not None
        and math.isfinite(value)
    ]
    return sorted(candidates, key=lambda c: order(c.trial, c.value, goal=goal))


def _require_recorded(study: StudyRow, trials: Sequence[TrialRow], metric: str) -> None:
    complete = [trial for trial in trials if trial.state == "complete"]
    if metric == study.metric or not complete or any(metric in t.metrics for t in complete):
        return
    recorded = sorted({name for trial in complete for name in trial.metrics})
    raise InputError(
        f"Metric '{metric}' was not recorded for study '{study.name}'. "
        f"Recorded: {', '.join(recorded)}."
    )


def _value(study: StudyRow, trial: TrialRow, metric: str) -> float | None:
    return trial.score if metric == study.metric else trial.metrics.get(metric)


def _certainty(
    study: StudyRow,
    ranked: Sequence[_Ranked],
    predictions: Mapping[int, Floats],
    metric: str,
    goal: Goal,
    seed: int,
) -> dict[int, _Certainty]:
    known = [candidate for candidate in ranked if candidate.trial.number in predictions]
    if not known:
        return {}
    scores = _scores(study, [c.trial.number for c in known], predictions, metric, seed)
    observed = np.array([candidate.value for candidate in known])
    tied = tied_with_best(scores, observed, maximize=goal == "maximize")
    return {
        candidate.trial.number: _Certainty(
            *percentile_interval(row, candidate.value), bool(is_tied)
        )
        for candidate, row, is_tied in zip(known, scores, tied, strict=True)
    }


def _scores(
    study: StudyRow,
    trials: Sequence[int],
    predictions: Mapping[int, Floats],
    metric: str,
    seed: int,
) -> resample.Array:
    """The metric of each trial on each resample, (trials, resamples)."""
    labels, positive = study.data.validation_labels, _positive_class(study)
    weights = resample.draw(labels, resample.resample_count(metric), seed=seed)
    rows = []
    for trial in trials:
        log_p = predictions[trial]
        row = resample.scores(metric, labels, log_p, weights=weights, positive=positive)
        if np.ptp(row) < _ALIKE:
            # Seeded by the trial: doubts about two candidates have nothing in common.
            row = resample.scores_in_doubt(
                metric, labels, log_p, seed=(seed, trial), positive=positive
            )
        rows.append(row)
    return np.stack(rows)


def _positive_class(study: StudyRow) -> int | None:
    name = study.spec.get("metric", {}).get("positive_class")
    return None if name is None else study.data.class_names.index(name)


def _row(rank: int, candidate: _Ranked, certainty: _Certainty) -> LeaderboardRow:
    trial = candidate.trial
    return LeaderboardRow(
        rank=rank,
        trial=trial.number,
        backbone=trial.backbone,
        params=trial.params,
        score=candidate.value,
        ci_low=certainty.low,
        ci_high=certainty.high,
        tied_with_best=certainty.tied,
        best_epoch=trial.best_epoch or 0,
        epochs=trial.epochs,
        seconds=trial.seconds or 0.0,
        parameters=trial.parameters or 0,
        latency_ms=math.nan if trial.latency_ms is None else trial.latency_ms,
        metrics=trial.metrics,
    )
