"""Asynchronous successive halving (Li et al. 2020): rungs of epochs, the best of each go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner, SuccessiveHalvingPruner
from optuna.study import Study
from optuna.trial import FrozenTrial
from pydantic import Field

from selector.search.members import Options, read_options
from selector.search.pruners.base import in_epochs
from selector.spec import StudySpec


class HalvingOptions(Options):
    """The first rung is at `min_epochs`; one in `reduction_factor` passes each rung."""

    min_epochs: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=3, ge=2)


class SuccessiveHalving:
    """One bracket of rungs."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's successive halving pruner."""
        chosen = read_options("pruner", "successive_halving", HalvingOptions, options)
        return _InEpochs(min_resource=chosen.min_epochs, reduction_factor=chosen.reduction_factor)


class _InEpochs(SuccessiveHalvingPruner):
    """Rungs at epochs, where Optuna's steps count from 0 and would be one late."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial ends at the rung that it has just reached."""
        return super().prune(study, in_epochs(trial))
