"""Wilcoxon signed-rank test on paired folds; meaningful only where a step is a fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner

from selector.errors import InputError
from selector.spec import StudySpec


class Wilcoxon:
    """Compares a trial with the best one fold by fold."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """InputError: a trial of this study runs over epochs of one split, not over folds."""
        raise InputError(
            "pruner 'wilcoxon' compares trials fold by fold, and a trial of this study runs over "
            "the epochs of one split. Use median, percentile, successive_halving or hyperband."
        )
