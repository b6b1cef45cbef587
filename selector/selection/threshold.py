"""The probability from which the positive one of two classes is predicted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector import metrics
from selector.errors import InputError
from selector.records import Floats, Ints, Threshold

DEFAULT = 0.5
_Array = npt.NDArray[np.float64]


def tune(
    metric: str,
    labels: Ints,
    log_probabilities: Floats,
    *,
    class_names: tuple[str, ...],
    positive: int,
) -> Threshold:
    """The threshold with the best `metric` on these predictions, of equals the nearest to 0.5.

    `labels` is (n,), `log_probabilities` (n, 2). InputError for a metric that no threshold moves.
    """
    check(metric)
    probabilities = np.exp(log_probabilities[:, positive].astype(np.float64))
    # Between two neighbouring probabilities all thresholds are alike; the middle is the safest.
    seen = np.unique(np.concatenate([[0.0, 1.0], probabilities]))
    values = np.append((seen[1:] + seen[:-1]) / 2, DEFAULT)
    scores = metrics.from_confusion(
        metric, _confusions(labels, probabilities, values, positive), positive=positive
    )
    best = np.flatnonzero(scores == scores.max())
    chosen = best[np.argmin(np.abs(values[best] - DEFAULT))]
    return Threshold(class_names[positive], float(values[chosen]), metric, float(scores[chosen]))


def check(metric: str) -> None:
    """Raise InputError for a metric that does not depend on a threshold."""
    if not metrics.is_count_based(metric):
        raise InputError(
            f"threshold: tune is for metrics of labels, and {metric} is one of probabilities. "
            "Give a number, such as 0.5, or another metric."
        )


def _confusions(labels: Ints, probabilities: _Array, values: _Array, positive: int) -> Ints:
    """The confusion matrix (thresholds, 2, 2) at each threshold."""
    counts = np.zeros((len(values), 2, 2), dtype=np.int64)
    for true in (0, 1):
        own = np.sort(probabilities[labels == true])
        below = np.searchsorted(own, values, side="left")
        counts[:, true, 1 - positive] = below
        counts[:, true, positive] = len(own) - below
    return counts
