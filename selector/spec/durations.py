"""Lengths of time as users write them: `90s`, `45m`, `6h`, `2d`, `1h30m`, or bare seconds."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import PlainValidator

from selector.spec.parameters import show

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,6})?"
# Every unit at most once, the longest first.
PATTERN = "^(?=.)" + "".join(f"(?:{_NUMBER}{unit})?" for unit in UNITS) + "$"


def read_duration(raw: object) -> float:
    """Seconds; ValueError says how a duration is written."""
    seconds = _seconds(raw)
    if seconds is None:
        raise ValueError(
            f"{show(raw)} is not a duration. Write 90s, 45m, 6h, 2d, 1h30m or a number of seconds."
        )
    if not 0 < seconds < math.inf:
        raise ValueError(f"{show(raw)} is out of bounds; a duration is longer than zero.")
    return seconds


def write_duration(seconds: float) -> str | float:
    """`read_duration` backwards: in units where the seconds are whole, else the bare number."""
    if seconds != int(seconds):
        return seconds
    rest, parts = int(seconds), []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    text = "".join(parts)
    return text if re.match(PATTERN, text) else seconds


Duration = Annotated[float, PlainValidator(read_duration)]


def _seconds(raw: object) -> float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return float(raw)
    if not isinstance(raw, str) or not re.match(PATTERN, raw):
        return None
    parts = re.findall(f"({_NUMBER})([dhms])", raw)
    return sum(float(count) * UNITS[unit] for count, unit in parts)
