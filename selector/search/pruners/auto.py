"""The default: halving over rungs, gentle enough for the small budgets that fine-tuning has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner

from selector.search.members import Options, read_options
from selector.search.pruners.rungs import RungPruner
from selector.spec import StudySpec

REDUCTION_FACTOR = 2


class Auto:
    """The better half of the trials passes the epochs 1, 2, 4, ..."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """The rung pruner for trials of `budget.epochs`."""
        read_options("pruner", "auto", Options, options)
        return RungPruner(epochs=spec.budget.epochs, reduction_factor=REDUCTION_FACTOR)
