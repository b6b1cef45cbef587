"""What picking the best of many candidates does to its score."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from selector.selection.resample import Array

Bools = npt.NDArray[np.bool_]


def probability_best(scores: Array, *, maximize: bool) -> Array:
    """The share of resamples in which each candidate leads, (candidates,); leaders in common share.

    `scores` is (candidates, resamples) on shared resamples.
    """
    best = scores.max(axis=0) if maximize else scores.min(axis=0)
    leads = np.abs(scores - best) <= 1e-9
    return np.asarray((leads / leads.sum(axis=0)).mean(axis=1))


def expected_after_selection(
    scores: Array,
    observed: Array,
    *,
    maximize: bool,
    tied: Bools | None = None,
    in_doubt: Bools | None = None,
) -> float:
    """The score to expect of the pick on new data, corrected for its having been picked.

    `scores` is (candidates, resamples) on shared resamples, `observed` (candidates,) on the data.
    In each resample the leader is picked again and scored on the samples that were not drawn: the
    bootstrap bias correction of Tsamardinos, Greasidou & Borboudakis (Machine Learning 107, 2018).
    To first order a score on those samples lies as far below the score on all of them as that on
    the drawn ones lies above, so nothing needs to be scored again, and classes of few samples,
    which may all be drawn, do no harm.

    For calibration errors, which are never below 0, resamples scatter more than data does, and the
    first order says too much. But of the candidates `tied` with the best (candidates,) the pick is
    expected to be no worse than any one drawn by lot: their mean bounds the correction.

    `in_doubt` (candidates,) marks those whose resamples were made up, for their own are all alike:
    what the data does not say of their luck corrects nothing, and of a pick in doubt nothing is
    known (NaN). Made-up rows have nothing in common, so every copy of one candidate would seem to
    make its score luckier.
    """
    sign = 1.0 if maximize else -1.0
    errors = sign * (scores - scores.mean(axis=1, keepdims=True))
    values = sign * observed
    if in_doubt is not None:
        if in_doubt[values.argmax()]:
            return math.nan
        errors = np.where(in_doubt[:, None], 0.0, errors)
    picked = (values[:, None] + errors).argmax(axis=0)
    of_picked = errors[picked, np.arange(errors.shape[1])]
    expected = float((values[picked] - of_picked).mean())
    if tied is not None:
        expected = max(expected, float(values[tied].mean()))
    return sign * min(expected, float(values.max()))
