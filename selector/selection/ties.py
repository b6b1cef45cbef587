"""Which candidates cannot be told from the leader on this validation split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector.selection.intervals import LEVEL
from selector.selection.resample import Array


def tied_with_best(scores: Array, observed: Array, *, maximize: bool) -> npt.NDArray[np.bool_]:
    """True for each candidate whose gap to the leader may be chance, the leader included.

    `scores` is (candidates, resamples) on shared resamples, `observed` (candidates,) on the data
    itself. A gap counts when it exceeds, in units of its own standard error, what the largest of
    all pairwise gaps reaches by chance in 95% of the resamples (a studentised max-T bound: Romano &
    Wolf, Econometrica 73, 2005). The bound is over all pairs and not only those with the leader,
    because the leader was picked as the largest of them: truly equal candidates are thus all tied
    in 95% of studies.
    """
    if len(observed) < 2:
        return np.ones(len(observed), dtype=bool)
    leader = int(np.argmax(observed if maximize else -observed))
    errors = (scores - observed[:, None]).astype(np.float32)
    largest = np.zeros(scores.shape[1], dtype=np.float32)
    for index in range(len(errors) - 1):
        gaps = errors[index + 1 :] - errors[index]
        largest = np.maximum(largest, _in_standard_errors(gaps, gaps).max(axis=0))
    bound = np.quantile(largest, LEVEL)
    gaps_to_leader = np.abs(observed[leader] - observed)[:, None]
    gap_errors = errors[leader] - errors
    return np.asarray(_in_standard_errors(gaps_to_leader, gap_errors)[:, 0] <= bound)


def _in_standard_errors(gaps: Array, errors: Array) -> Array:
    """|gaps| over the standard deviation of each row of `errors`; no gap is 0 whatever its error.

    A gap whose error is nil, as between candidates that differ in no resample but do on the data,
    is infinite.
    """
    deviation = errors.std(axis=1, keepdims=True)
    certain = np.where(np.abs(gaps) > 1e-6, np.inf, 0.0)
    safe = np.where(deviation > 1e-7, deviation, 1.0)
    return np.where(deviation > 1e-7, np.abs(gaps) / safe, certain)
