"""Domains as users write them: reading, checking and writing back.

A bare value fixes a parameter, a list is a choice, `{uniform: [a, b]}`, `{log_uniform: [a, b]}` and
`{int: [a, b]}` are ranges; `step` and, for `int`, `log` may stand beside the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from selector.errors import did_you_mean
from selector.records import Scalar
from selector.spec.domains import (
    AnyDomain,
    Choice,
    Fixed,
    IntRange,
    LogUniform,
    Uniform,
    on_grid,
    values_of,
)
from selector.spec.mistakes import Mistake, refuse
from selector.spec.parameters import BACKBONE, PARAMETERS, Parameter, read_value, show

# The keys of a domain's mapping, and what may stand beside each of them.
KINDS: Mapping[str, tuple[str, ...]] = {
    "uniform": ("step",),
    "log_uniform": (),
    "int": ("step", "log"),
    "choice": (),
}
_RANGE_OF_KIND = {"real": ("uniform", "log_uniform"), "int": ("int",), "name": ()}


def read_domain(parameter: Parameter, raw: object) -> AnyDomain:
    """The domain that `raw` describes; ValueError says what is wrong with it."""
    match raw:
        case Fixed() | Choice() | Uniform() | LogUniform() | IntRange():
            return _checked(parameter, raw)
        case Mapping():
            return _read_mapping(parameter, raw)
        case list() | tuple():
            return _read_choice(parameter, raw)
        case None:
            raise ValueError(f"the value is missing. Allowed: {forms(parameter)}.")
        case _:
            return Fixed(read_value(parameter, raw))


def write_domain(domain: AnyDomain) -> Any:
    """The domain in the study file's syntax, as plain JSON types."""
    match domain:
        case Fixed(value):
            return value
        case Choice(values):
            return list(values)
        case Uniform(low, high, step):
            return {"uniform": [low, high]} | ({} if step is None else {"step": step})
        case LogUniform(low, high):
            return {"log_uniform": [low, high]}
        case IntRange(low, high, step, log):
            extras = ({"step": step} if step != 1 else {}) | ({"log": True} if log else {})
            return {"int": [low, high]} | extras


def read_space(raw: object) -> dict[str, AnyDomain]:
    """Domains by parameter, from one backbone's own `search`; every mistake is reported."""
    if not isinstance(raw, Mapping):
        raise ValueError(f"expected parameters with their domains, got {show(raw)}.")
    space: dict[str, AnyDomain] = {}
    mistakes: list[Mistake] = []
    for name, domain in raw.items():
        if name not in PARAMETERS:
            mistakes.append(Mistake((name,), unknown_parameter(name, PARAMETERS), domain))
            continue
        try:
            space[name] = read_domain(PARAMETERS[name], domain)
        except ValueError as error:
            mistakes.append(Mistake((name,), str(error), domain))
    refuse(mistakes)
    return space


def write_space(space: Mapping[str, AnyDomain]) -> dict[str, Any]:
    """`read_space` backwards."""
    return {name: write_domain(domain) for name, domain in space.items()}


def unknown_parameter(name: object, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The message for a parameter that does not exist here."""
    hint = did_you_mean(str(name), known)
    return f"unknown parameter {show(name)}.{hint} Known: {', '.join(known)}."


def forms(parameter: Parameter) -> str:
    """The ways to write a domain of this parameter, in words."""
    ranges = [f"{{{kind}: [low, high]}}" for kind in _RANGE_OF_KIND[parameter.kind]]
    return ", ".join([parameter.allowed, "a list of choices", *ranges])


def _domain_of_field(raw: object, info: ValidationInfo) -> AnyDomain:
    name = str(info.field_name)
    return read_domain(BACKBONE if name == BACKBONE.name else PARAMETERS[name], raw)


Domain = Annotated[AnyDomain, PlainValidator(_domain_of_field), PlainSerializer(write_domain)]
Space = Annotated[dict[str, AnyDomain], PlainValidator(read_space), PlainSerializer(write_space)]


def _read_mapping(parameter: Parameter, raw: Mapping[Any, Any]) -> AnyDomain:
    kinds = [key for key in raw if key in KINDS]
    if len(kinds) != 1:
        found = ", ".join(str(key) for key in raw) or "nothing"
        hint = did_you_mean(found, KINDS) if not kinds else ""
        raise ValueError(f"found {found}.{hint} Allowed: {forms(parameter)}.")
    kind = kinds[0]
    known = (kind, *KINDS[kind])
    for key in raw:
        if key not in known:
            hint = did_you_mean(str(key), known)
            beside = ", ".join(KINDS[kind]) or "nothing"
            raise ValueError(f"unknown key '{key}' beside {kind}.{hint} Allowed there: {beside}.")
    if kind == "choice":
        return _read_choice(parameter, raw[kind])
    return _read_range(parameter, kind, raw)


def _read_choice(parameter: Parameter, raw: object) -> AnyDomain:
    if not isinstance(raw, list | tuple) or not raw:
        got = "an empty list" if raw in ([], ()) else show(raw)
        raise ValueError(f"expected a list of choices, got {got}.")
    values = tuple(_read_all(parameter, raw))
    twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
    if twice is not None:
        raise ValueError(f"{show(twice)} is listed twice; write every choice once.")
    return Choice(values) if len(values) > 1 else Fixed(values[0])


def _read_range(parameter: Parameter, kind: str, raw: Mapping[str, Any]) -> AnyDomain:
    if kind not in _RANGE_OF_KIND[parameter.kind]:
        wanted = _RANGE_OF_KIND[parameter.kind]
        instead = f"write {{{wanted[0]}: [low, high]}}" if wanted else "write a list of choices"
        raise ValueError(f"{kind} does not suit {parameter.name}; {instead}.")
    ends = raw[kind]
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError(f"expected {kind}: [low, high], got {_show_ends(ends)}.")
    low, high = _read_all(parameter, ends)
    if low > high:  # type: ignore[operator]
        raise ValueError(f"the range [{low}, {high}] is upside down; write [{high}, {low}].")
    if low == high:
        return Fixed(low)
    return _range(kind, float(low), float(high), raw)


def _range(kind: str, low: float, high: float, raw: Mapping[str, Any]) -> AnyDomain:
    log = raw.get("log", False)
    if not isinstance(log, bool):
        raise ValueError(f"log is true or false, not {show(log)}.")
    if (log or kind == "log_uniform") and low <= 0:
        raise ValueError(f"a logarithmic range starts above 0, not at {low:g}.")
    if kind == "log_uniform":
        return LogUniform(low, high)
    step = _read_step(kind, low, high, raw)
    if kind == "uniform":
        return Uniform(low, high, step)
    if log and step not in (None, 1):
        raise ValueError("step and log exclude each other; keep one of them.")
    return IntRange(int(low), int(high), int(step or 1), log)


def _read_step(kind: str, low: float, high: float, raw: Mapping[str, Any]) -> float | None:
    if "step" not in raw:
        return None
    step = raw["step"]
    whole = kind == "int"
    if isinstance(step, bool) or not isinstance(step, int if whole else int | float) or step <= 0:
        noun = "whole number" if whole else "number"
        raise ValueError(f"step is a {noun} above 0, not {show(step)}.")
    if step > high - low or not on_grid(low, high, step):
        steps = int((high - low) / step + 1e-9)
        nearest = f"; the last value it reaches is {low + steps * step:g}" if steps else ""
        raise ValueError(f"step {step:g} does not divide [{low:g}, {high:g}]{nearest}.")
    return float(step)


def _read_all(parameter: Parameter, raw: Sequence[object]) -> list[Scalar]:
    values: list[Scalar] = []
    wrong: list[str] = []
    for item in raw:
        try:
            values.append(read_value(parameter, item))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError(" ".join(dict.fromkeys(wrong)))
    return values


def _checked(parameter: Parameter, domain: AnyDomain) -> AnyDomain:
    # Domains built in Python obey the same rules as written ones.
    _read_all(parameter, values_of(domain))
    return read_domain(parameter, write_domain(domain))


def _show_ends(ends: object) -> str:
    return f"a list of {len(ends)}" if isinstance(ends, list | tuple) else show(ends)
