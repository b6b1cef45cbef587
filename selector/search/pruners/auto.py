"""Chooses the rule from the budget: hyperband needs some ten trials a bracket to be fair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner

from selector.search.members import Options, read_options
from selector.spec import StudySpec

TRIALS_FOR_HYPERBAND = 40


class Auto:
    """Median for short studies, hyperband for long ones."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's pruner that fits `budget.trials` and `budget.epochs`."""
        read_options("pruner", "auto", Options, options)
        if spec.budget.trials >= TRIALS_FOR_HYPERBAND and spec.budget.epochs >= 9:
            return HyperbandPruner(
                min_resource=1, max_resource=spec.budget.epochs, reduction_factor=3
            )
        startup = max(2, min(5, spec.budget.trials // 4))
        return MedianPruner(n_startup_trials=startup, n_warmup_steps=1)
