"""How sure a single number is: a candidate's score, or the gap between two candidates."""

from __future__ import annotations

import numpy as np

from selector.selection.resample import Array

LEVEL = 0.95


def percentile_interval(scores: Array, observed: float) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of one candidate (Efron & Tibshirani, 1993, ch. 13).

    `scores` is (resamples,). The interval always holds the observed score: the bootstrap of a
    macro average leans towards lower values and could leave it out.
    """
    low, high = np.percentile(scores, _TAILS)
    return min(float(low), observed), max(float(high), observed)


def gap_interval(gaps: Array, observed: float) -> tuple[float, float]:
    """The 95% interval of a gap, from how far its resamples (resamples,) lie around their mean.

    Centred on the observed gap, so that what the bootstrap does to both candidates alike, such as
    lowering every macro average, is no part of it.
    """
    low, high = np.percentile(gaps - gaps.mean(), _TAILS)
    return observed + float(low), observed + float(high)


def simultaneous_intervals(gaps: Array, observed: Array) -> tuple[Array, Array]:
    """Intervals of several gaps that hold all true ones at once in 95% of studies, each (k,).

    `gaps` is (resamples, k), `observed` (k,). Each reaches as many of its own standard errors to
    both sides as the largest deviation of any gap does in 95% of resamples (the studentised
    maximum; Romano & Wolf, Econometrica 73, 2005). A gap that no resample moves has no interval:
    NaN.
    """
    errors = gaps - gaps.mean(axis=0)
    sd = errors.std(axis=0)
    moved = sd > _NO_ERROR
    if not moved.any():
        return np.full_like(observed, np.nan), np.full_like(observed, np.nan)
    largest = (np.abs(errors[:, moved]) / sd[moved]).max(axis=1)
    reach = np.where(moved, float(np.quantile(largest, LEVEL)) * sd, np.nan)
    return observed - reach, observed + reach


_NO_ERROR = 1e-9  # a standard error no larger than rounding
_TAILS = (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2)
