"""The leaderboard: complete trials in order of a metric, with intervals and ties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from selector import metrics
from selector.errors import InputError
from selector.records import (
    Cost,
    Floats,
    Goal,
    Leaderboard,
    LeaderboardRow,
    PickedScore,
    StudyRow,
    TrialCounts,
    TrialRow,
)
from selector.selection.best import order
from selector.selection.certainty import Certainties, Certainty, Progress, certainties, unseen
from selector.selection.pareto import front

COSTS: tuple[Cost, ...] = get_args(Cost)
# What a shipped network costs; its training is paid for once.
FRONTS: tuple[Cost, ...] = ("latency_ms", "parameters")


def build(
    study: StudyRow,
    trials: Sequence[TrialRow],
    *,
    predictions: Mapping[int, Floats],
    counts: TrialCounts,
    metric: str | None = None,
    seed: int = 0,
    progress: Progress = unseen,
) -> Leaderboard:
    """The ranking of a study's candidates by `metric`, by default the study's own.

    A candidate is a complete trial with a finite value of the metric. Equal values are ordered by
    fewer parameters, then by the earlier trial. `predictions` maps trial numbers to validation
    log-probabilities (n_validation, n_classes); a candidate without them has a NaN interval and is
    never called tied. `progress` is told of every candidate that was resampled. Raises InputError
    for an unknown metric, or one the study never recorded.
    """
    name = metric or study.metric
    goal = study.goal if name == study.metric else metrics.goal_of(name)
    ranked = _ranked(study, trials, name, goal)
    sure = certainties(
        study,
        {candidate.trial.number: candidate.value for candidate in ranked},
        predictions,
        metric=name,
        goal=goal,
        seed=seed,
        progress=progress,
    )
    rows = _on_fronts(
        [
            _row(rank, candidate, sure.by_trial.get(candidate.trial.number, Certainty()))
            for rank, candidate in enumerate(ranked, start=1)
        ],
        goal=goal,
    )
    return Leaderboard(
        study=study.name,
        metric=name,
        goal=goal,
        fingerprint=study.data.fingerprint,
        counts=study.data.counts,
        candidates=rows,
        trials=counts,
        pick=_pick(rows, sure),
        cheapest=_cheapest(rows),
    )


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A trial and its value of the metric asked for."""

    trial: TrialRow
    value: float


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


def _row(rank: int, candidate: _Ranked, certainty: Certainty) -> LeaderboardRow:
    trial = candidate.trial
    return LeaderboardRow(
        rank=rank,
        trial=trial.number,
        backbone=trial.backbone,
        params=trial.params,
        score=candidate.value,
        ci_low=certainty.low,
        ci_high=certainty.high,
        tied_with_best=certainty.tie_group == 1,
        best_epoch=trial.best_epoch or 0,
        epochs=trial.epochs,
        seconds=trial.seconds or 0.0,
        parameters=trial.parameters or 0,
        latency_ms=math.nan if trial.latency_ms is None else trial.latency_ms,
        metrics=trial.metrics,
        tie_group=certainty.tie_group,
        probability_best=certainty.probability_best,
        behind=certainty.behind,
        behind_low=certainty.behind_low,
        behind_high=certainty.behind_high,
        checkpoint=trial.checkpoint,
    )


def _on_fronts(rows: Sequence[LeaderboardRow], *, goal: Goal) -> tuple[LeaderboardRow, ...]:
    """The rows, each knowing the costs on whose front it is."""
    scores = [row.score for row in rows]
    fronts = {cost: front(scores, [_cost(row, cost) for row in rows], goal=goal) for cost in FRONTS}
    return tuple(
        replace(row, pareto=tuple(cost for cost in FRONTS if fronts[cost][index]))
        for index, row in enumerate(rows)
    )


def _pick(rows: Sequence[LeaderboardRow], sure: Certainties) -> PickedScore | None:
    """What the best score is worth after it was picked; None where no candidate has predictions."""
    if not sure.by_trial:
        return None
    best = next(row for row in rows if row.trial in sure.by_trial)
    return PickedScore(
        trial=best.trial,
        compared=len(sure.by_trial),
        resamples=sure.resamples,
        score=best.score,
        expected_score=sure.expected_score,
    )


def _cheapest(rows: Sequence[LeaderboardRow]) -> Mapping[Cost, int]:
    """By each cost the cheapest trial of those tied with the best, of equals the better one."""
    tied = [row for row in rows if row.tied_with_best]
    known = {cost: [row for row in tied if not math.isnan(_cost(row, cost))] for cost in COSTS}
    return {
        cost: min(rows_, key=lambda row: _cost(row, cost)).trial
        for cost, rows_ in known.items()
        if rows_
    }


def _cost(row: LeaderboardRow, cost: Cost) -> float:
    """A cost in its own unit; NaN where it was not recorded."""
    value = float(getattr(row, cost))
    return math.nan if value <= 0 else value
