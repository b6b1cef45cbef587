"""The search space's domains: what values a parameter may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from selector.records import Scalar


@dataclass(frozen=True, slots=True)
class Fixed:
    """One value: the parameter is not searched."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a list, without order."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Uniform:
    """A real number in [low, high]; `step` (optional) makes a grid of it."""

    low: float
    high: float
    step: float | None = None


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A real number in [low, high], uniform in its logarithm."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class IntRange:
    """A whole number in [low, high], both included; `step` and `log` optional."""

    low: int
    high: int
    step: int = 1
    log: bool = False


AnyDomain = Fixed | Choice | Uniform | LogUniform | IntRange


def contains(domain: AnyDomain, value: Scalar) -> bool:
    """Whether `value` is one that `domain` can draw."""
    match domain:
        case Fixed(only):
            return value == only
        case Choice(values):
            return value in values
        case Uniform(low, high, step):
            return _between(low, value, high) and (step is None or on_grid(low, value, step))
        case LogUniform(low, high):
            return _between(low, value, high)
        case IntRange(low, high, step):
            whole = isinstance(value, int) and not isinstance(value, bool)
            return whole and _between(low, value, high) and on_grid(low, value, step)


def values_of(domain: AnyDomain) -> tuple[Scalar, ...]:
    """The values written in a domain: the value, the choices, or both ends of the range."""
    match domain:
        case Fixed(value):
            return (value,)
        case Choice(values):
            return values
        case _:
            return (domain.low, domain.high)


def on_grid(low: float, value: Scalar, step: float) -> bool:
    """Whether `value` is `low` plus a whole number of steps, but for rounding."""
    steps = (float(value) - low) / step
    return math.isclose(steps, round(steps), abs_tol=1e-6)


def _between(low: float, value: Scalar, high: float) -> bool:
    return not isinstance(value, str | bool) and low <= value <= high
