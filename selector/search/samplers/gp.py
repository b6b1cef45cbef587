"""Gaussian process with expected improvement, for few and costly trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.samplers import BaseSampler, GPSampler
from pydantic import Field

from selector.search.members import Options, read_options
from selector.search.samplers.base import refuse_conditional, trial_seed
from selector.spec import StudySpec


class GpOptions(Options):
    """`startup_trials` replaces the number of start-up draws that the budget suggests."""

    startup_trials: int | None = Field(default=None, ge=1)
    deterministic: bool = False


class Gp:
    """Models the score as a smooth function of the parameters."""

    plans_startup = True
    blind = False

    def check(self, spec: StudySpec, options: Mapping[str, Any]) -> None:
        """Raise InputError for a wrong option or parameters of one backbone."""
        read_options("sampler", "gp", GpOptions, options)
        refuse_conditional(spec, "gp")

    def build(
        self, spec: StudySpec, options: Mapping[str, Any], *, seed: int, number: int, startup: int
    ) -> BaseSampler:
        """Optuna's GP sampler, seeded for this trial."""
        chosen = read_options("sampler", "gp", GpOptions, options)
        return GPSampler(
            n_startup_trials=chosen.startup_trials or startup,
            deterministic_objective=chosen.deterministic,
            seed=trial_seed(seed, number),
            warn_independent_sampling=False,
        )

    def limit(self, spec: StudySpec, options: Mapping[str, Any]) -> int | None:
        """None: there is always another draw."""
        return None
