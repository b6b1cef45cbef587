"""Tree-structured Parzen estimator, multivariate (Bergstra et al. 2011; Falkner et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from pydantic import Field

from selector.search import space
from selector.search.members import Options, read_options
from selector.search.samplers.base import trial_seed
from selector.spec import StudySpec


class TpeOptions(Options):
    """`startup_trials` replaces the number of start-up draws that the budget suggests."""

    startup_trials: int | None = Field(default=None, ge=1)
    ei_candidates: int = Field(default=24, ge=1)
    multivariate: bool = True


class _KnownSpace(TPESampler):
    """TPE that is told its search space instead of finding what all stored trials share.

    The study file fixes the space, so both are the same; finding it reads every trial each time.
    """

    def __init__(self, known: Mapping[str, BaseDistribution], **arguments: Any) -> None:
        super().__init__(**arguments)
        # Optuna sorts the names too; their order decides which number goes to which parameter.
        self._known = {name: known[name] for name in sorted(known) if not known[name].single()}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every parameter that is drawn jointly."""
        return dict(self._known)


class Tpe:
    """Samples where good trials are dense and bad ones are not, all parameters jointly."""

    plans_startup = True
    blind = False

    def check(self, spec: StudySpec, options: Mapping[str, Any]) -> None:
        """Raise InputError for a wrong option."""
        read_options("sampler", "tpe", TpeOptions, options)

    def build(
        self, spec: StudySpec, options: Mapping[str, Any], *, seed: int, number: int, startup: int
    ) -> BaseSampler:
        """TPE with every argument given, since Optuna's defaults change between versions."""
        chosen = read_options("sampler", "tpe", TpeOptions, options)
        arguments: dict[str, Any] = {
            "n_startup_trials": chosen.startup_trials or startup,
            "n_ei_candidates": chosen.ei_candidates,
            "multivariate": chosen.multivariate,
            "constant_liar": True,
            "seed": trial_seed(seed, number),
        }
        if chosen.multivariate and not spec.conditional:
            return _KnownSpace(space.distributions(spec), **arguments)
        # Without `group`, parameters of one backbone only would leave the joint sampling.
        return TPESampler(group=chosen.multivariate, **arguments)

    def limit(self, spec: StudySpec, options: Mapping[str, Any]) -> int | None:
        """None: there is always another draw."""
        return None
