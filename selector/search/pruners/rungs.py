"""Rungs: the epochs at which a trial has to be among the better part of all trials so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

# Under another schedule an early score means something else: a cosine gains most at its end.
_ALIKE = "schedule"
LEARNT = 1 / 3


class RungPruner(BasePruner):
    """Stops a trial that is not among the best of all trials when it reaches a rung.

    `rungs` maps an epoch (from 1) to n: one in n of all trials so far passes, rounded to the
    nearest, and always the best one. Asynchronous successive halving in its stopping form (Li et
    al. 2020), changed for few and noisy trials. Trials that were stopped earlier count too, as
    worse ones, so that the places of a rung do not grow with the number of mediocre trials which
    came first. What is compared is the best score so far, which one unlucky epoch does not lower.
    And where a score is maximised, no trial is judged before the epoch in which the best finished
    one had a third of its own: earlier scores are chance, as with few steps an epoch.

    It reads the reported scores and keeps nothing of its own: workers have nothing to agree on,
    and a study that was interrupted goes on as if it had not been.
    """

    def __init__(self, rungs: Mapping[int, int]) -> None:
        self.rungs = dict(rungs)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial ends at the rung that it has just reached; False between rungs."""
        step = trial.last_step
        # Steps count from 0.
        if step is None or step + 1 > max(self.rungs):
            return False
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        others = _rivals(study.get_trials(deepcopy=False), trial)
        one_in = self._places(others, sign=sign).get(step + 1)
        if one_in is None:
            return False
        # Every epoch is reported, so a trial that reached a step has a score there.
        started = 1 + sum(min(self.rungs) - 1 in t.intermediate_values for t in others)
        own = _best(trial, step, sign=sign)
        ahead = (_best(t, step, sign=sign) > own for t in others if step in t.intermediate_values)
        return sum(ahead) >= max(1, (started + one_in // 2) // one_in)

    def _places(self, others: Sequence[FrozenTrial], *, sign: float) -> Mapping[int, int]:
        """The rungs as they lie now: those before the earliest telling epoch are moved to it.

        Two that meet are one, with the fewer places.
        """
        telling = _telling_epoch(others) if sign > 0 else 1
        places: dict[int, int] = {}
        for epoch, one_in in sorted(self.rungs.items()):
            at = max(epoch, telling)
            places[at] = max(one_in, places.get(at, 1))
        return places


def _telling_epoch(others: Sequence[FrozenTrial]) -> int:
    """The first epoch in which the best finished trial had a third of its best score."""
    finished = [t for t in others if t.state == TrialState.COMPLETE and t.intermediate_values]
    if not finished:
        return 1
    leader = max(finished, key=lambda t: max(t.intermediate_values.values()))
    best = max(leader.intermediate_values.values())
    # A score that is not positive, as MCC may be, has no third to reach.
    wanted = LEARNT * best if best > 0 else -math.inf
    return 1 + min(step for step, score in leader.intermediate_values.items() if score >= wanted)


def _rivals(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> list[FrozenTrial]:
    """The trials that `trial` is compared with.

    Not failed ones: what they had reached cannot be chosen.
    """
    rivals = [t for t in trials if t.number != trial.number and t.state != TrialState.FAIL]
    # Where one backbone has schedules of its own, the name carries the backbone in front.
    name = next((name for name in trial.params if name.split(".")[-1] == _ALIKE), None)
    if name is None:
        return rivals
    return [t for t in rivals if t.params.get(name) == trial.params[name]]


def _best(trial: FrozenTrial, step: int, *, sign: float) -> float:
    """The best score up to `step`, in a sense in which more is better."""
    return max(sign * score for at, score in trial.intermediate_values.items() if at <= step)
