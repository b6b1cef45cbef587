"""Keeps the best `percentile` of trials at each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner, PercentilePruner
from pydantic import Field

from selector.search.members import Options, read_options
from selector.spec import StudySpec


class PercentileOptions(Options):
    """`percentile` of the trials go on; the rest as for the median rule."""

    percentile: float = Field(default=50.0, gt=0, lt=100)
    startup_trials: int = Field(default=4, ge=0)
    warmup_epochs: int = Field(default=1, ge=0)
    interval: int = Field(default=1, ge=1)


class Percentile:
    """The median rule with another share."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's percentile pruner."""
        chosen = read_options("pruner", "percentile", PercentileOptions, options)
        return PercentilePruner(
            chosen.percentile,
            n_startup_trials=chosen.startup_trials,
            n_warmup_steps=chosen.warmup_epochs,
            interval_steps=chosen.interval,
        )
