"""Asynchronous successive halving (Li et al. 2020): rungs of epochs, the best of each go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner, SuccessiveHalvingPruner
from pydantic import Field

from selector.search.members import Options, read_options
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
        return SuccessiveHalvingPruner(
            min_resource=chosen.min_epochs, reduction_factor=chosen.reduction_factor
        )
