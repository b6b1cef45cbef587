"""Candidates that no other one beats on score and cost at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector.records import Goal


def front(
    scores: npt.ArrayLike, costs: npt.ArrayLike, *, goal: Goal = "maximize"
) -> npt.NDArray[np.bool_]:
    """True for each candidate than which none is at least as good and as cheap, and better in one.

    `scores` and `costs` are (candidates,); a cost that is not known (NaN) is on no front.
    """
    values = np.asarray(scores, dtype=np.float64)
    costs = np.asarray(costs, dtype=np.float64)
    values = values if goal == "maximize" else -values
    on_front = np.zeros(len(values), dtype=bool)
    best = -np.inf
    # The cheapest first, of equals the better: whoever improves on all before is beaten by none.
    for index in np.lexsort((-values, costs)):
        if np.isnan(costs[index]):
            continue
        twin = on_front & (values == values[index]) & (costs == costs[index])
        if values[index] > best or twin.any():
            on_front[index] = True
            best = max(best, values[index])
    return on_front
