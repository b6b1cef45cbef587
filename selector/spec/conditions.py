"""Rules between keys of a study file, checked on what was written.

They read the raw values, and skip what other checks refuse anyway, so that a wrong key elsewhere
never hides a broken rule: the user sees every mistake in one pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel

from selector import metrics
from selector.errors import did_you_mean
from selector.records import Scalar
from selector.spec.domains import AnyDomain, contains, values_of
from selector.spec.mistakes import Mistake, refuse
from selector.spec.parameters import BACKBONE, PARAMETERS, read_value, show
from selector.spec.space import read_domain, unknown_parameter, write_domain

_STARTABLE = {BACKBONE.name: BACKBONE, **PARAMETERS}


def of_data(raw: Any) -> list[Mistake]:
    """Exactly one of `path` and `source` says where the data is."""
    given = [key for key in ("path", "source") if _get(raw, key) is not None]
    if len(given) == 1 or not _is_section(raw):
        return []
    if given:
        return [Mistake(("source",), "path and source exclude each other; keep one of them.")]
    example = "path: data/flowers (a folder, .csv or .parquet) or source: builtin:digits"
    return [Mistake((), f"where the data is, is missing; write {example}.")]


def of_metric(raw: Any) -> list[Mistake]:
    """The goal is the one that the metric has, and a binary metric knows its positive class."""
    name, goal = _get(raw, "name"), _get(raw, "goal")
    if not isinstance(name, str) or name not in metrics.names():
        return []
    mistakes = []
    right = metrics.goal_of(name)
    if goal in ("maximize", "minimize") and goal != right:
        message = f"{show(goal)} contradicts {name}, which gets better the {_way(right)} it is;"
        mistakes.append(Mistake(("goal",), f"{message} write goal: {right}.", goal))
    if metrics.needs_positive(name) and _get(raw, "positive_class") is None:
        message = f"is required for {name}; name the class that is scored against the rest."
        mistakes.append(Mistake(("positive_class",), message))
    return mistakes


def of_study(raw: Any, *, defaults: Mapping[str, AnyDomain]) -> list[Mistake]:
    """Blocks of backbones name searched ones; start_from stays within the search space."""
    backbones = _searched_backbones(raw)
    if not backbones:
        return []
    mistakes = []
    blocks = _get(raw, "backbones")
    for name, block in blocks.items() if isinstance(blocks, Mapping) else ():
        if name not in backbones:
            mistakes.append(Mistake(("backbones", name), _not_searched(name, backbones), block))
    starts = _get(raw, "start_from")
    spaces = {backbone: _space_of(raw, backbone, defaults=defaults) for backbone in backbones}
    for i, start in enumerate(starts if isinstance(starts, list | tuple) else ()):
        if isinstance(start, Mapping):
            mistakes += [
                Mistake(("start_from", i, name), message, start[name])
                for name, message in _outside(start, spaces).items()
            ]
    return mistakes


def of_threshold(raw: Any) -> list[Mistake]:
    """Only a metric of labels depends on the threshold, so only for one it can be tuned."""
    name = _get(_get(raw, "metric"), "name")
    if _get(raw, "threshold") != "tune" or name not in metrics.names():
        return []
    if metrics.is_count_based(name):
        return []
    message = f"{name} does not depend on it; write a number such as 0.5, or take another metric."
    return [Mistake(("threshold",), message, "tune")]


def read_threshold(raw: object) -> object:
    """`tune`, or a number between 0 and 1."""
    if raw == "tune" or (isinstance(raw, float) and 0 < raw < 1):
        return raw
    raise ValueError(f"expected tune or a number between 0 and 1, got {show(raw)}.")


def read_start_from(raw: object) -> tuple[dict[str, Scalar], ...]:
    """Known parameters with values of their kind; every mistake is reported."""
    if not isinstance(raw, list | tuple):
        raise ValueError(
            f"expected a list of configurations such as {{lr: 1e-3}}, got {show(raw)}."
        )
    mistakes: list[Mistake] = []
    starts = tuple(_read_start(start, i, mistakes) for i, start in enumerate(raw))
    refuse(mistakes)
    return starts


def _read_start(raw: object, index: int, mistakes: list[Mistake]) -> dict[str, Scalar]:
    if not isinstance(raw, Mapping) or not raw:
        got = "an empty one" if raw == {} else show(raw)
        message = f"expected a configuration such as {{lr: 1e-3}}, got {got}."
        mistakes.append(Mistake((index,), message, raw))
        return {}
    start: dict[str, Scalar] = {}
    for name, value in raw.items():
        if name not in _STARTABLE:
            message = unknown_parameter(name, _STARTABLE)
            mistakes.append(Mistake((index, name), message, value))
            continue
        try:
            start[name] = read_value(_STARTABLE[name], value)
        except ValueError as error:
            mistakes.append(Mistake((index, name), str(error), value))
    return start


def _outside(
    start: Mapping[Any, Any], spaces: Mapping[str, Mapping[str, AnyDomain]]
) -> dict[str, str]:
    """Messages for values that the search space of the configuration's backbone cannot draw."""
    backbone = start.get(BACKBONE.name)
    if isinstance(backbone, str) and backbone not in spaces:
        return {BACKBONE.name: _not_searched(backbone, spaces)}
    possible = [spaces[backbone]] if isinstance(backbone, str) else list(spaces.values())
    messages: dict[str, str] = {}
    for name, raw in start.items():
        value = _value(name, raw) if name in _STARTABLE else None
        domains = [space[name] for space in possible if name in space]
        if domains and value is not None and not any(contains(d, value) for d in domains):
            domain = _flow(write_domain(domains[0]))
            messages[name] = f"{show(value)} is outside of search.{name}, {domain}; widen it."
    return messages


def _not_searched(name: object, backbones: Collection[str]) -> str:
    hint = did_you_mean(str(name), backbones)
    return f"{show(name)} is not in search.backbone.{hint} Allowed: {', '.join(backbones)}."


def _searched_backbones(raw: Any) -> tuple[str, ...]:
    domain = _domain(BACKBONE.name, _get(_get(raw, "search"), BACKBONE.name))
    return tuple(str(name) for name in values_of(domain)) if domain else ()


def _space_of(
    raw: Any, backbone: str, *, defaults: Mapping[str, AnyDomain]
) -> dict[str, AnyDomain]:
    """The domains of one backbone, without those that cannot be read."""
    shared = _get(raw, "search")
    own = _get(_get(_get(raw, "backbones"), backbone), "search")
    space = {}
    for name in PARAMETERS:
        written = _get(own, name) if _get(own, name) is not None else _get(shared, name)
        domain = defaults[name] if written is None else _domain(name, written)
        if domain is not None:
            space[name] = domain
    return space


def _domain(name: str, raw: object) -> AnyDomain | None:
    if raw is None:
        return None
    try:
        return read_domain(_STARTABLE[name], raw)
    except ValueError:
        return None  # refused where the key itself is checked


def _value(name: str, raw: object) -> Scalar | None:
    try:
        return read_value(_STARTABLE[name], raw)
    except ValueError:
        return None  # refused where the key itself is checked


def _is_section(raw: Any) -> bool:
    return isinstance(raw, Mapping | BaseModel)


def _get(raw: Any, key: str) -> Any:
    """One key of a section that may be raw or already validated, None where there is none."""
    if isinstance(raw, Mapping):
        return raw.get(key)
    return getattr(raw, key, None) if isinstance(raw, BaseModel) else None


def _way(goal: str) -> str:
    return "higher" if goal == "maximize" else "lower"


def _flow(domain: Any) -> str:
    match domain:
        case list():
            return f"[{', '.join(map(str, domain))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {value}" for key, value in domain.items()) + "}"
        case _:
            return str(domain)
