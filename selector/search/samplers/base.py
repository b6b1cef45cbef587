"""The seam of samplers: a member checks itself against the study and builds Optuna's sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from optuna.samplers import BaseSampler

from selector.errors import InputError
from selector.spec import StudySpec


class Sampler(Protocol):
    """One way of proposing parameters.

    `plans_startup` says whether known-good recipes and quasi-random draws should come first;
    `blind` whether no score changes what it proposes; `limit` is the number of different trials it
    can propose, or None when there is no end.
    """

    plans_startup: bool
    blind: bool

    def check(self, spec: StudySpec, options: Mapping[str, Any]) -> None:
        """Raise InputError or UnavailableError when this study cannot be sampled this way."""
        ...

    def build(
        self, spec: StudySpec, options: Mapping[str, Any], *, seed: int, number: int, startup: int
    ) -> BaseSampler:
        """Optuna's sampler for trial `number`, the same on every machine.

        A fresh sampler a trial makes its draws a function of (seed, number, stored trials), so a
        run that was interrupted goes on as the uninterrupted one would have.
        """
        ...

    def limit(self, spec: StudySpec, options: Mapping[str, Any]) -> int | None: ...


def refuse_conditional(spec: StudySpec, name: str) -> None:
    """Raise InputError for a study with parameters of one backbone only.

    Samplers that model all parameters at once would draw those at random without a word.
    """
    if spec.conditional:
        raise InputError(
            f"sampler '{name}' cannot search parameters that differ between backbones "
            f"({', '.join(sorted(spec.conditional))}). Move them from 'backbones' to 'search', or "
            f"use sampler 'tpe'."
        )


def trial_seed(seed: int, number: int) -> int:
    """A seed for the draws of trial `number`, far from those of its neighbours."""
    return (seed * 1_000_003 + number * 7_919 + 12_345) % (2**31 - 1)
