"""Numbers and names as short text: scores, rates, durations, and names made safe to print."""

from __future__ import annotations

import datetime as dt
import math

from selector.errors import visible
from selector.records import Goal, Scalar

MISSING = "–"


def safe(text: str) -> str:
    """The text with control and direction characters written out, as `\\x1b`."""
    return visible(text)


def with_arrow(metric: str, goal: Goal) -> str:
    """The metric with an arrow towards better, as `f1_macro ↑`."""
    return f"{safe(metric)} {'↑' if goal == 'maximize' else '↓'}"


def score(value: float | None) -> str:
    """A score with four decimals."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.4f}"


def interval(low: float, high: float) -> str:
    """An interval with three decimals, as `0.912–0.961`."""
    return f"{low:.3f}–{high:.3f}" if math.isfinite(low) and math.isfinite(high) else MISSING


def share(number: float) -> str:
    """A share in whole per cent, where it is not nil as `< 1%`."""
    if not math.isfinite(number):
        return MISSING
    return "< 1%" if 0 < number < 0.005 else f"{number:.0%}"


def certain(probability: float) -> str:
    """A probability in per cent, with decimals where whole ones would call it certain: `99.97%`."""
    if not 0.995 <= probability < 1:
        return f"{probability:.0%}"
    return "> 99.99%" if probability >= 0.99995 else f"{probability:.2%}"


def p_value(number: float) -> str:
    """A p-value with three decimals, as `p = 0.032` or `p < 0.001`."""
    return "p < 0.001" if number < 0.001 else f"p = {number:.3f}"


def value(scalar: Scalar | None) -> str:
    """A parameter's value, real numbers with three digits."""
    if scalar is None:
        return MISSING
    if isinstance(scalar, float):
        return f"{scalar:.3g}"
    return safe(str(scalar))


def whole(number: int | None) -> str:
    """A whole number."""
    return MISSING if number is None else str(number)


def millions(number: int | None) -> str:
    """A count of parameters in millions, as `11.2`; the toy networks need more decimals."""
    if number is None:
        return MISSING
    decimals = 1 if number >= 1_000_000 else 3
    return f"{number / 1e6:.{decimals}f}"


def milliseconds(number: float | None) -> str:
    """A latency with one decimal."""
    return MISSING if number is None or not math.isfinite(number) else f"{number:.1f}"


def duration(seconds: float | None) -> str:
    """A duration in its two largest units, as `2h05m`, `3m20s`, `12.3s`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m"


def moment(time: dt.datetime | None) -> str:
    """An instant to the minute, in UTC."""
    return MISSING if time is None else f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M}"
