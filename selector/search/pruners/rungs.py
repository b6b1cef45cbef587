"""Successive halving over rungs of epochs, each trial against all that were there before it."""

from __future__ import annotations

import math

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState


class RungPruner(BasePruner):
    """Stops a trial that is not among the better part of all trials that reached its rung.

    Asynchronous successive halving in its stopping form (Li et al. 2020, section 3.3 of the
    follow-up in Syne Tune: Salinas et al. 2022), with three changes for few and noisy trials.
    What is compared is the best score so far, which one unlucky epoch does not lower. At least
    `least` trials pass each rung, so that the first ones, which have nobody to be compared with,
    go on. And no rung lies in the last epochs, where stopping saves next to nothing.

    It reads the reported scores and keeps nothing of its own: workers need not agree on anything,
    and a study that was interrupted continues as it would have gone on.
    """

    def __init__(
        self, *, epochs: int, reduction_factor: int, least: int = 2, alike: str | None = None
    ) -> None:
        self.rungs = rungs(epochs, reduction_factor=reduction_factor)
        self._reduction_factor = reduction_factor
        self._least = least
        self._alike = alike

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial ends at the rung that it has just reached; False between rungs."""
        step = trial.last_step
        if step is None or step + 1 not in self.rungs:
            return False
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        reached = [
            _best(other, step, sign=sign)
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and self._competes(other, trial, step)
        ]
        own = _best(trial, step, sign=sign)
        places = max(self._least, math.ceil((len(reached) + 1) / self._reduction_factor))
        return sum(score > own for score in reached) >= places

    def _competes(self, other: FrozenTrial, trial: FrozenTrial, step: int) -> bool:
        if other.state == TrialState.FAIL or (other.last_step or 0) < step:
            return False
        alike = self._alike
        return alike is None or other.params.get(alike) == trial.params.get(alike)


def rungs(epochs: int, *, reduction_factor: int) -> tuple[int, ...]:
    """The epochs after which trials are compared: 1 and its multiples by the factor.

    The last one leaves at least as many epochs as it took to get there times (factor - 1).
    """
    found = []
    epoch = 1
    while epoch * reduction_factor <= epochs:
        found.append(epoch)
        epoch *= reduction_factor
    return tuple(found)


def _best(trial: FrozenTrial, step: int, *, sign: float) -> float:
    """The best score up to `step`, in a sense in which more is better."""
    return max(sign * score for at, score in trial.intermediate_values.items() if at <= step)
