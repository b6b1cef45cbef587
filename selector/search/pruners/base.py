"""The seam of pruners: a member checks its options and builds Optuna's pruner."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol

from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from selector.spec import StudySpec


class Pruner(Protocol):
    """One rule for stopping a trial early. Steps are epochs, counted from 0."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's pruner; raises InputError for a wrong option or an unfit study."""
        ...


def in_epochs(trial: FrozenTrial) -> FrozenTrial:
    """The trial with its steps counted from 1: after step n it has trained n epochs.

    For rules that take a step for the resource spent, as successive halving does.
    """
    counted = copy.copy(trial)
    counted.intermediate_values = {
        step + 1: score for step, score in trial.intermediate_values.items()
    }
    return counted
