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


_TAILS = (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2)
