"""How sure a single candidate's score is."""

from __future__ import annotations

import numpy as np

from selector.selection.resample import Array

LEVEL = 0.95


def percentile_interval(scores: Array, observed: float) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of one candidate (Efron & Tibshirani, 1993, ch. 13).

    `scores` is (resamples,). The interval always holds the observed score: the bootstrap of a
    macro average leans towards lower values and could leave it out.
    """
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(scores, [tail, 100 - tail])
    return min(float(low), observed), max(float(high), observed)
