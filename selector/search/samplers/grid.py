"""Every combination of a finite grid, each once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GridSampler
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from selector.errors import InputError
from selector.records import Scalar
from selector.search import space
from selector.search.members import Options, read_options
from selector.search.samplers.base import refuse_conditional
from selector.spec import StudySpec


class GridOptions(Options):
    """`steps` says how many points a real-valued range is cut into, by parameter."""

    steps: dict[str, int] = Field(default_factory=dict)


class Grid:
    """Visits the whole grid in a seeded order."""

    plans_startup = False
    blind = True

    def check(self, spec: StudySpec, options: Mapping[str, Any]) -> None:
        """Raise InputError where the space is no grid; all reasons in one message."""
        chosen = read_options("sampler", "grid", GridOptions, options)
        refuse_conditional(spec, "grid")
        problems = list(_problems(spec, chosen.steps))
        if problems:
            raise InputError("\n".join(problems))

    def build(
        self, spec: StudySpec, options: Mapping[str, Any], *, seed: int, number: int, startup: int
    ) -> BaseSampler:
        """Optuna's grid sampler, told once that our loop, not it, ends the study."""
        chosen = read_options("sampler", "grid", GridOptions, options)
        return _AskTellGrid(_grid(spec, chosen.steps), seed=seed)

    def limit(self, spec: StudySpec, options: Mapping[str, Any]) -> int | None:
        """The number of cells, and of the `start_from` trials before them."""
        chosen = read_options("sampler", "grid", GridOptions, options)
        cells = math.prod(len(points) for points in _grid(spec, chosen.steps).values())
        return cells + len(spec.start_from)


class _AskTellGrid(GridSampler):
    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Nothing: Optuna would call `study.stop()`, which only `optimize` allows."""


def _problems(spec: StudySpec, steps: Mapping[str, int]) -> Sequence[str]:
    found = space.distributions(spec)
    problems = []
    for name, kind in found.items():
        points = isinstance(kind, FloatDistribution) and kind.step is None
        if points and name not in steps:
            problems.append(
                f"sampler 'grid' needs 'steps' for the range '{name}', "
                f"e.g. sampler: {{name: grid, steps: {{{name}: 4}}}}."
            )
    for name, count in steps.items():
        if name not in found or not isinstance(found[name], FloatDistribution):
            real = [n for n, d in found.items() if isinstance(d, FloatDistribution)]
            problems.append(
                f"sampler 'grid': 'steps' names '{name}', which is not a real-valued range of the "
                f"search space. Ranges: {', '.join(real) or 'none'}."
            )
        elif count < 2:
            problems.append(f"sampler 'grid': steps of '{name}' is {count}; at least 2 are needed.")
    missing = [
        f"start_from[{i}] lacks {', '.join(sorted(absent))}: sampler 'grid' draws no values itself."
        for i, params in enumerate(spec.start_from)
        if (absent := set(found) - set(space.to_optuna(spec, params)))
    ]
    return problems + missing


def _grid(spec: StudySpec, steps: Mapping[str, int]) -> dict[str, list[Scalar]]:
    return {
        name: _points(kind, steps.get(name)) for name, kind in space.distributions(spec).items()
    }


def _points(kind: Any, count: int | None) -> list[Scalar]:
    if isinstance(kind, CategoricalDistribution):
        return list(kind.choices)  # type: ignore[arg-type]
    if isinstance(kind, IntDistribution):
        return list(range(kind.low, kind.high + 1, kind.step))
    if kind.step is not None and count is None:
        size = round((kind.high - kind.low) / kind.step) + 1
        return [float(x) for x in np.linspace(kind.low, kind.high, size)]
    spread = np.geomspace if kind.log else np.linspace
    points = spread(kind.low, kind.high, count or 2)
    return [float(x) for x in np.clip(points, kind.low, kind.high)]
