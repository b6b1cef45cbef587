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


def covers(domain: AnyDomain, other: AnyDomain) -> bool:
    """Whether `domain` can draw every value that `other` can draw."""
    match other:
        case Fixed() | Choice():
            return all(contains(domain, value) for value in values_of(other))
        case IntRange(low, high, step):
            if isinstance(domain, Uniform | LogUniform):
                return False  # the parameter would no longer be a whole number
            ends = contains(domain, low) and contains(domain, high)
            if isinstance(domain, IntRange):
                return ends and step % domain.step == 0
            return all(contains(domain, value) for value in range(low, high + 1, step))
        case Uniform(low, high, step):
            finer = (
                not isinstance(domain, Uniform)
                or domain.step is None
                or (step is not None and on_grid(0, step, domain.step))
            )
            real = isinstance(domain, Uniform | LogUniform)
            return real and finer and contains(domain, low) and contains(domain, high)
        case LogUniform(low, high):
            free = isinstance(domain, LogUniform) or (
                isinstance(domain, Uniform) and domain.step is None
            )
            return free and contains(domain, low) and contains(domain, high)


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
