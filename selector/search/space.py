"""The study file's search space in Optuna's terms, and back.

A parameter keeps its plain name when every backbone shares its domain. Where one backbone has a
domain of its own, that backbone's parameter is called `<backbone>.<parameter>` inside Optuna, for
Optuna forbids a name whose range changes within a study. Fixed values never reach Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from selector.records import Scalar
from selector.spec import StudySpec
from selector.spec.domains import AnyDomain, Choice, Fixed, IntRange, LogUniform, Uniform


def suggest(trial: BaseTrial, spec: StudySpec) -> dict[str, Scalar]:
    """All parameters of one trial, those the study file fixes included."""
    backbone = _draw(trial, "backbone", spec.search.backbone)
    params: dict[str, Scalar] = {"backbone": backbone}
    for name, domain in spec.space_of(str(backbone)).items():
        params[name] = _draw(trial, optuna_name(spec, str(backbone), name), domain)
    return params


def to_optuna(spec: StudySpec, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """`params` under Optuna's names, without those that the study file fixes.

    Without a backbone only the parameters that all backbones share can be passed on.
    """
    backbone = str(params.get("backbone", "")) or _only(spec.backbone_names)
    named: dict[str, Scalar] = {}
    if not isinstance(spec.search.backbone, Fixed) and "backbone" in params:
        named["backbone"] = params["backbone"]
    domains = spec.space_of(backbone) if backbone else spec.shared_space()
    for name, domain in domains.items():
        if name in params and not isinstance(domain, Fixed):
            named[optuna_name(spec, backbone, name)] = _plain(domain, params[name])
    return named


def optuna_name(spec: StudySpec, backbone: str, name: str) -> str:
    """What `name` is called inside Optuna for this backbone."""
    block = spec.backbones.get(backbone)
    own = block is not None and name in block.search and name in spec.conditional
    return f"{backbone}.{name}" if own else name


def distributions(spec: StudySpec) -> dict[str, BaseDistribution]:
    """Every distribution that a trial of this study may touch, by Optuna's name."""
    found: dict[str, BaseDistribution] = {}
    if not isinstance(spec.search.backbone, Fixed):
        found["backbone"] = distribution(spec.search.backbone)
    for backbone in spec.backbone_names:
        for name, domain in spec.space_of(backbone).items():
            if not isinstance(domain, Fixed):
                found[optuna_name(spec, backbone, name)] = distribution(domain)
    return found


def distribution(domain: AnyDomain) -> BaseDistribution:
    """Optuna's distribution of a domain that is searched."""
    match domain:
        case Choice(values):
            return CategoricalDistribution(list(values))
        case Uniform(low, high, step):
            return FloatDistribution(low, high, step=step)
        case LogUniform(low, high):
            return FloatDistribution(low, high, log=True)
        case IntRange(low, high, step, log):
            return IntDistribution(low, high, step=step, log=log)
        case Fixed():
            raise ValueError("a fixed value is not searched")


def _draw(trial: BaseTrial, name: str, domain: AnyDomain) -> Scalar:
    match domain:
        case Fixed(value):
            return value
        case Choice(values):
            # Optuna types a choice as optional; a study file cannot name None.
            return cast(Scalar, trial.suggest_categorical(name, list(values)))
        case Uniform(low, high, step):
            return trial.suggest_float(name, low, high, step=step)
        case LogUniform(low, high):
            return trial.suggest_float(name, low, high, log=True)
        case IntRange(low, high, step, log):
            return trial.suggest_int(name, low, high, step=step, log=log)


def _plain(domain: AnyDomain, value: Scalar) -> Scalar:
    """The value in the type that Optuna stores for this domain (1 -> 1.0 in a float range)."""
    if isinstance(domain, Uniform | LogUniform):
        return float(value)
    return value


def _only(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else ""
