"""Independent uniform draws (Bergstra and Bengio 2012)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.samplers import BaseSampler, RandomSampler

from selector.search.members import Options, read_options
from selector.search.samplers.base import trial_seed
from selector.spec import StudySpec


class Random:
    """Draws every parameter on its own."""

    plans_startup = False
    blind = True

    def check(self, spec: StudySpec, options: Mapping[str, Any]) -> None:
        """Raise InputError for any option: there are none."""
        read_options("sampler", "random", Options, options)

    def build(
        self, spec: StudySpec, options: Mapping[str, Any], *, seed: int, number: int, startup: int
    ) -> BaseSampler:
        """Optuna's random sampler, seeded for this trial."""
        return RandomSampler(seed=trial_seed(seed, number))

    def limit(self, spec: StudySpec, options: Mapping[str, Any]) -> int | None:
        """None: there is always another draw."""
        return None
