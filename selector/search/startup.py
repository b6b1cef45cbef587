"""The first trials of a study, planned before any score is known.

In this order: the user's own `start_from`, recipes of earlier studies, one known-good recipe for
every backbone, then quasi-random draws spread evenly over the backbones, each time the most
promising backbone first.
With few trials a model-based sampler would otherwise be plain random search, and a backbone might
never be tried at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from selector.records import Origin, Scalar
from selector.search import samplers, space
from selector.spec import StudySpec
from selector.spec.domains import AnyDomain, Choice, Fixed, IntRange, LogUniform, Uniform

# Fine-tuning recipes in wide use, by architecture family: AdamW at 1e-3 suits networks with batch
# normalisation, transformers want a tenth of it, more weight decay and smaller steps in the early
# layers (Steiner et al. 2021; Bao et al. 2021; Liu et al. 2022 for ConvNeXt).
_CONVOLUTIONAL: Mapping[str, Scalar] = {
    "lr": 1e-3,
    "freeze_depth": 0,
    "batch_size": 32,
    "optimizer": "adamw",
    "weight_decay": 1e-4,
    "layer_decay": 1.0,
    "label_smoothing": 0.0,
    "schedule": "cosine",
}
_TRANSFORMER: Mapping[str, Scalar] = {
    **_CONVOLUTIONAL,
    "lr": 1e-4,
    "weight_decay": 0.05,
    "layer_decay": 0.75,
}
_CONVNEXT: Mapping[str, Scalar] = {**_CONVOLUTIONAL, "lr": 3e-4, "weight_decay": 0.05}
_FAMILIES = (
    (("vit", "deit", "swin", "beit", "cait", "eva", "bert"), _TRANSFORMER),
    (("convnext",), _CONVNEXT),
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A trial to be enqueued: parameters under Optuna's names, and where they come from."""

    params: Mapping[str, Scalar]
    origin: Origin


def plan(
    spec: StudySpec,
    *,
    order: Sequence[str] = (),
    reused: Sequence[Mapping[str, Scalar]] = (),
) -> tuple[Planned, ...]:
    """The planned trials, never more than `budget.trials`; the same for the same study.

    `order` has all backbones, the most promising first; without it they come as in the study file.
    `reused` are parameters that did well in earlier studies.
    """
    sampler = samplers.load(spec.sampler.name)
    own = [Planned(space.to_optuna(spec, params), "start_from") for params in spec.start_from]
    if not sampler.plans_startup:
        return tuple(own[: spec.budget.trials])
    names = tuple(order) or spec.backbone_names
    assert sorted(names) == sorted(spec.backbone_names), "an order leaves no backbone out"
    taken = [Planned(space.to_optuna(spec, params), "history") for params in reused]
    known = [each.params for each in taken]
    recipes = [Planned(space.to_optuna(spec, recipe(spec, name)), "recipe") for name in names]
    first = [*own, *taken, *(each for each in recipes if each.params not in known)]
    draws = _draws(spec, names, max(0, startup_trials(spec) - len(first)))
    return tuple([*first, *draws][: spec.budget.trials])


def startup_trials(spec: StudySpec) -> int:
    """How many trials are planned before the sampler takes over: a third of the budget, 4 to 20.

    Every backbone gets at least its recipe, as long as the budget holds.
    """
    third = max(4, min(20, spec.budget.trials // 3))
    wanted = max(third, len(spec.backbone_names) + len(spec.start_from))
    return min(spec.budget.trials, wanted)


def recipe(spec: StudySpec, backbone: str) -> dict[str, Scalar]:
    """The known-good recipe of the backbone's family, moved inside this study's space."""
    wanted = next((r for words, r in _FAMILIES if _mentions(backbone, words)), _CONVOLUTIONAL)
    params: dict[str, Scalar] = {"backbone": backbone}
    for name, domain in spec.space_of(backbone).items():
        params[name] = nearest(domain, wanted[name]) if name in wanted else _middle(domain)
    return params


def _mentions(backbone: str, words: Sequence[str]) -> bool:
    return any(word in backbone.partition(":")[2] for word in words)


def _draws(spec: StudySpec, names: Sequence[str], count: int) -> list[Planned]:
    """Draws in turns over the backbones, each of which has a quasi-random sequence of its own.

    One sequence dealt out in turns would give every backbone but a part of each range, for
    neighbouring points of it lie in opposite halves.
    """
    turns = math.ceil(count / len(names))
    sequences = [_sequence(spec, name, turns) for name in names]
    return [sequences[i % len(names)][i // len(names)] for i in range(count)]


def _sequence(spec: StudySpec, backbone: str, count: int) -> list[Planned]:
    """`count` scrambled Sobol points in the searched parameters of one backbone."""
    space_of = spec.space_of(backbone)
    searched = [name for name, domain in space_of.items() if not isinstance(domain, Fixed)]
    if not searched or count == 0:
        return [Planned(space.to_optuna(spec, {"backbone": backbone}), "startup")] * count
    rng = np.random.default_rng([spec.seed, spec.backbone_names.index(backbone)])
    # Sobol points come in powers of two; the first `count` of them are used.
    sobol = qmc.Sobol(d=len(searched), scramble=True, rng=rng)
    points = sobol.random_base2(m=math.ceil(math.log2(count)))[:count]
    planned = []
    for point in points:
        params: dict[str, Scalar] = {"backbone": backbone}
        for name, u in zip(searched, point, strict=True):
            params[name] = _at(space_of[name], float(u))
        planned.append(Planned(space.to_optuna(spec, params), "startup"))
    return planned


def _at(domain: AnyDomain, u: float) -> Scalar:
    """The value at the fraction `u` of the domain, 0 <= u < 1."""
    match domain:
        case Fixed(value):
            return value
        case Choice(values):
            return values[min(len(values) - 1, int(u * len(values)))]
        case Uniform(low, high, step):
            return _on_step(low + u * (high - low), low, high, step)
        case LogUniform(low, high):
            return min(high, max(low, math.exp(math.log(low) + u * math.log(high / low))))
        case IntRange(low, high, step, log):
            if log:
                return round(math.exp(math.log(low) + u * math.log(high / low)))
            return low + step * min(int(u * ((high - low) // step + 1)), (high - low) // step)


def nearest(domain: AnyDomain, wanted: Scalar) -> Scalar:
    """The value of the domain that is closest to `wanted`; the first choice where none is near."""
    match domain:
        case Fixed(value):
            return value
        case Choice(values):
            if wanted in values:
                return wanted
            numbers = [v for v in values if isinstance(v, int | float)]
            if numbers and isinstance(wanted, int | float):
                return min(numbers, key=lambda v: abs(float(v) - float(wanted)))
            return values[0]
        case Uniform(low, high, step):
            return _on_step(float(wanted), low, high, step)
        case LogUniform(low, high):
            return min(high, max(low, float(wanted)))
        case IntRange(low, high, step):
            clipped = min(high, max(low, round(float(wanted))))
            return low + step * round((clipped - low) / step) if step > 1 else clipped


def _middle(domain: AnyDomain) -> Scalar:
    return _at(domain, 0.5) if not isinstance(domain, Choice) else domain.values[0]


def _on_step(value: float, low: float, high: float, step: float | None) -> float:
    if step is not None:
        value = low + step * round((value - low) / step)
    return min(high, max(low, value))
