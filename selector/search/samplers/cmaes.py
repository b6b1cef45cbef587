"""CMA-ES (Hansen 2016) on the numeric parameters; choices are drawn at random."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, CmaEsSampler
from pydantic import Field

from selector.errors import InputError, UnavailableError
from selector.search import space
from selector.search.members import Options, read_options
from selector.search.samplers.base import refuse_conditional, trial_seed
from selector.spec import StudySpec


class CmaEsOptions(Options):
    """`sigma0` is the first step size; `population` the trials of one generation."""

    startup_trials: int | None = Field(default=None, ge=1)
    sigma0: float | None = Field(default=None, gt=0)
    population: int | None = Field(default=None, ge=2)
    with_margin: bool = False


class CmaEs:
    """Evolves a normal distribution over the numeric parameters."""

    plans_startup = True
    blind = False

    def check(self, spec: StudySpec, options: Mapping[str, Any]) -> None:
        """Raise when the package is missing or fewer than two parameters are numeric."""
        read_options("sampler", "cmaes", CmaEsOptions, options)
        refuse_conditional(spec, "cmaes")
        if importlib.util.find_spec("cmaes") is None:
            raise UnavailableError(
                "sampler 'cmaes' needs the package 'cmaes': pip install 'selector-finetune[cmaes]'."
            )
        found = space.distributions(spec).values()
        numeric = [d for d in found if not isinstance(d, CategoricalDistribution)]
        if len(numeric) < 2:
            raise InputError(
                f"sampler 'cmaes' needs at least 2 numeric parameters to search, the study has "
                f"{len(numeric)}. Widen the search space or use 'tpe'."
            )

    def build(
        self, spec: StudySpec, options: Mapping[str, Any], *, seed: int, number: int, startup: int
    ) -> BaseSampler:
        """Optuna's CMA-ES sampler; its state lives in the storage."""
        chosen = read_options("sampler", "cmaes", CmaEsOptions, options)
        return CmaEsSampler(
            n_startup_trials=chosen.startup_trials or startup,
            sigma0=chosen.sigma0,
            popsize=chosen.population,
            with_margin=chosen.with_margin,
            warn_independent_sampling=False,
            seed=trial_seed(seed, number),
        )

    def limit(self, spec: StudySpec, options: Mapping[str, Any]) -> int | None:
        """None: there is always another draw."""
        return None
