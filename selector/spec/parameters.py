"""The parameters of a trial: what each one's values may be, whatever domain they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from selector.errors import did_you_mean
from selector.records import Scalar

AUGMENTS = ("none", "flip", "light", "trivial", "strong")
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "constant")
STAGES = 5  # every backbone has five stages, so freeze depth means the same for all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One searchable parameter: its kind and the values that make sense."""

    name: str
    kind: Literal["real", "int", "name"]
    low: float = 0
    high: float | None = None
    without_low: bool = False
    without_high: bool = False
    names: tuple[str, ...] = ()  # of kind "name"; empty where any name may be written
    example: str = ""

    @property
    def allowed(self) -> str:
        """The legal values in words."""
        if self.kind == "name":
            return f"one of {', '.join(self.names)}" if self.names else f"a name, {self.example}"
        noun = "a whole number" if self.kind == "int" else "a number"
        low = f"above {self.low:g}" if self.without_low else f"from {self.low:g}"
        if self.high is None:
            return f"{noun} {low}" + ("" if self.without_low else " up")
        return f"{noun} {low} {'to below' if self.without_high else 'to'} {self.high:g}"

    def admits(self, number: float) -> bool:
        """Whether a number is within this parameter's limits."""
        above = number > self.low if self.without_low else number >= self.low
        if self.high is None:
            return above
        return above and (number < self.high if self.without_high else number <= self.high)


def _real(name: str, **limits: Any) -> Parameter:
    return Parameter(name=name, kind="real", **limits)


def _whole(name: str, *, low: int, high: int) -> Parameter:
    return Parameter(name=name, kind="int", low=low, high=high)


def _word(name: str, *names: str, example: str = "") -> Parameter:
    return Parameter(name=name, kind="name", names=names, example=example)


BACKBONE = _word("backbone", example="for example timm:resnet18")
PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        _real("lr", without_low=True, high=100),
        _whole("freeze_depth", low=0, high=STAGES),
        _whole("batch_size", low=1, high=65536),
        _word("optimizer", *OPTIMIZERS),
        _real("momentum", high=1, without_high=True),
        _real("weight_decay"),
        _real("layer_decay", without_low=True, high=1),
        _real("label_smoothing", high=1, without_high=True),
        _word("augment", *AUGMENTS),
        _whole("image_size", low=8, high=2048),
        _real("warmup_epochs"),
        _word("schedule", *SCHEDULES),
    )
}


def read_value(parameter: Parameter, raw: object) -> Scalar:
    """`raw` as a value of `parameter`; ValueError says what is allowed."""
    if parameter.kind == "name":
        return _read_name(parameter, raw)
    number = _read_number(parameter, raw)
    if not parameter.admits(number):
        raise ValueError(f"{show(raw)} is out of bounds. Allowed: {parameter.allowed}.")
    return number


def show(raw: object) -> str:
    """A value as it appears in a message: quoted if text, shortened if long."""
    match raw:
        case None:
            return "an empty value"
        case bool():
            return "true" if raw else "false"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a mapping"
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read_name(parameter: Parameter, raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"{show(raw)} is not a name. Allowed: {parameter.allowed}.")
    if parameter.names and raw not in parameter.names:
        hint = did_you_mean(raw, parameter.names)
        raise ValueError(f"{show(raw)} is unknown.{hint} Allowed: {parameter.allowed}.")
    return raw


def _read_number(parameter: Parameter, raw: object) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise ValueError(f"{show(raw)} is not a number. Allowed: {parameter.allowed}.")
    if parameter.kind == "real":
        return float(raw)
    if raw != int(raw):
        raise ValueError(f"{show(raw)} is not a whole number. Allowed: {parameter.allowed}.")
    return int(raw)
