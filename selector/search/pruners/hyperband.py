"""Hyperband (Li et al. 2018): several successive halvings that differ in how early they stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner, HyperbandPruner
from optuna.study import Study
from optuna.trial import FrozenTrial
from pydantic import Field

from selector.errors import InputError
from selector.search.members import Options, read_options
from selector.search.pruners.base import in_epochs
from selector.spec import StudySpec


class HyperbandOptions(Options):
    """The first rung is at `min_epochs`; one in `reduction_factor` passes each rung."""

    min_epochs: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=3, ge=2)


class Hyperband:
    """Brackets up to the epochs of the budget."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's hyperband pruner; its longest bracket is `budget.epochs`."""
        chosen = read_options("pruner", "hyperband", HyperbandOptions, options)
        if chosen.min_epochs > spec.budget.epochs:
            raise InputError(
                f"pruner 'hyperband': min_epochs is {chosen.min_epochs}, more than "
                f"budget.epochs ({spec.budget.epochs})."
            )
        return _InEpochs(
            min_resource=chosen.min_epochs,
            max_resource=spec.budget.epochs,
            reduction_factor=chosen.reduction_factor,
        )


class _InEpochs(HyperbandPruner):
    """Rungs at epochs. A kind of Optuna's own, for samplers look for one and keep to a bracket."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial ends at the rung that it has just reached."""
        return super().prune(study, in_epochs(trial))
