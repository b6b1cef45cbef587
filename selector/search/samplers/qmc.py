"""Quasi-random draws of low discrepancy (Sobol 1967, Halton 1960), scrambled by the seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from optuna.samplers import BaseSampler, QMCSampler, RandomSampler

from selector.search.members import Options, read_options
from selector.search.samplers.base import trial_seed
from selector.spec import StudySpec


class QmcOptions(Options):
    """`sequence` names the low-discrepancy sequence."""

    sequence: Literal["sobol", "halton"] = "sobol"


class Qmc:
    """Covers the space evenly, whatever the scores."""

    plans_startup = False
    blind = True

    def check(self, spec: StudySpec, options: Mapping[str, Any]) -> None:
        """Raise InputError for a wrong option."""
        read_options("sampler", "qmc", QmcOptions, options)

    def build(
        self, spec: StudySpec, options: Mapping[str, Any], *, seed: int, number: int, startup: int
    ) -> BaseSampler:
        """Optuna's QMC sampler; one seed for all trials, as the sequence is one."""
        chosen = read_options("sampler", "qmc", QmcOptions, options)
        return QMCSampler(
            qmc_type=chosen.sequence,
            scramble=True,
            seed=seed,
            # Parameters outside the sequence; their draws must differ from trial to trial.
            independent_sampler=RandomSampler(seed=trial_seed(seed, number)),
            warn_independent_sampling=False,
        )

    def limit(self, spec: StudySpec, options: Mapping[str, Any]) -> int | None:
        """None: the sequence has no end."""
        return None
