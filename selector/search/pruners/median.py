"""Stops a trial whose best score so far is below the median of earlier trials at that epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.pruners import BasePruner, MedianPruner
from pydantic import Field

from selector.search.members import Options, read_options
from selector.spec import StudySpec


class MedianOptions(Options):
    """`startup_trials` run to the end first; no trial is judged in its first `warmup_epochs`."""

    startup_trials: int = Field(default=4, ge=0)
    warmup_epochs: int = Field(default=1, ge=0)
    interval: int = Field(default=1, ge=1)


class Median:
    """The median rule (Golovin et al. 2017)."""

    def build(self, spec: StudySpec, options: Mapping[str, Any]) -> BasePruner:
        """Optuna's median pruner."""
        chosen = read_options("pruner", "median", MedianOptions, options)
        return MedianPruner(
            n_startup_trials=chosen.startup_trials,
            n_warmup_steps=chosen.warmup_epochs,
            interval_steps=chosen.interval,
        )
