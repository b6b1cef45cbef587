"""How sure the values of several candidates are, alone and beside each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selector.records import Floats, Goal, StudyRow
from selector.selection import resample
from selector.selection.intervals import gap_interval, percentile_interval
from selector.selection.ties import tie_groups
from selector.selection.winner import expected_after_selection, probability_best

Progress = Callable[[int, int], None]  # candidates done, of how many


def unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""


ALIKE = 1e-9  # scores no further apart than rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """How sure the value of one candidate is; `behind` is its gap to the leader, 0 or more."""

    low: float = math.nan
    high: float = math.nan
    tie_group: int | None = None
    probability_best: float = math.nan
    behind: float = math.nan
    behind_low: float = math.nan
    behind_high: float = math.nan


@dataclass(frozen=True, slots=True)
class Certainties:
    """How sure each candidate is, by trial number, and what picking the best did to its score."""

    by_trial: Mapping[int, Certainty]
    resamples: int = 0
    expected_score: float = math.nan


def certainties(
    study: StudyRow,
    values: Mapping[int, float],
    predictions: Mapping[int, Floats],
    *,
    metric: str,
    goal: Goal,
    seed: int,
    progress: Progress,
) -> Certainties:
    """How sure `values` are, the metric of each trial by its number, of those with predictions.

    `predictions` maps trial numbers to validation log-probabilities (n_validation, n_classes).
    """
    known = [number for number in values if number in predictions]
    if not known:
        return Certainties({})
    scores, in_doubt = scores_of(
        study, [(n, predictions) for n in known], metric=metric, seed=seed, progress=progress
    )
    observed = np.array([values[number] for number in known])
    maximize = goal == "maximize"
    groups = tie_groups(scores, observed, maximize=maximize)
    leads = probability_best(scores, maximize=maximize)
    leader = int(np.argmax(observed if maximize else -observed))
    sign = 1.0 if maximize else -1.0
    found = {}
    for index, number in enumerate(known):
        low, high = percentile_interval(scores[index], observed[index])
        behind = sign * (observed[leader] - observed[index])
        gaps = gap_interval(sign * (scores[leader] - scores[index]), behind)
        found[number] = Certainty(
            low=low,
            high=high,
            tie_group=int(groups[index]),
            probability_best=float(leads[index]),
            behind=float(behind),
            behind_low=gaps[0],
            behind_high=gaps[1],
        )
    expected = expected_after_selection(scores, observed, maximize=maximize, in_doubt=in_doubt)
    return Certainties(found, scores.shape[1], expected)


def scores_of(
    study: StudyRow,
    candidates: Sequence[tuple[int, Mapping[int, Floats]]],
    *,
    metric: str,
    seed: int,
    progress: Progress = unseen,
) -> tuple[resample.Array, npt.NDArray[np.bool_]]:
    """The metric of each candidate on each resample, (candidates, resamples), and whom to doubt.

    Those whose own resamples are all alike, (candidates,), have made-up ones. A candidate is a
    trial's number and the predictions to find it in; all share the resamples.
    """
    labels, positive = study.data.validation_labels, positive_class(study)
    count = resample.resample_count(metric, len(labels))
    weights = resample.draw(labels, count, seed=seed)
    rows, in_doubt = [], []
    for done, (number, predictions) in enumerate(candidates, start=1):
        log_p = predictions[number]
        row = resample.scores(metric, labels, log_p, weights=weights, positive=positive)
        in_doubt.append(bool(np.ptp(row) < ALIKE))
        if in_doubt[-1]:
            # Seeded by the trial: doubts about two candidates have nothing in common.
            row = resample.scores_in_doubt(
                metric, labels, log_p, resamples=count, seed=(seed, number), positive=positive
            )
        rows.append(row)
        progress(done, len(candidates))
    return np.stack(rows), np.array(in_doubt)


def positive_class(study: StudyRow) -> int | None:
    """The index of the study's positive class, or None."""
    name = study.spec.get("metric", {}).get("positive_class")
    return None if name is None else study.data.class_names.index(name)
