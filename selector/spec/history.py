"""The study file's `history`: which earlier studies lend their best recipes to a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from selector.spec.parameters import show
from selector.spec.section import Section


def _read_studies(raw: object) -> object:
    if raw == "auto":
        return raw
    if isinstance(raw, list | tuple) and raw and all(isinstance(n, str) and n for n in raw):
        return tuple(raw)
    raise ValueError(f"{show(raw)} is not allowed. Allowed: auto, or a list of names of studies.")


_STUDIES = {
    "anyOf": [
        {"enum": ["auto"]},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
Studies = Annotated[
    Literal["auto"] | tuple[str, ...],
    PlainValidator(_read_studies),
    PlainSerializer(lambda studies: studies if studies == "auto" else list(studies)),
    WithJsonSchema(_STUDIES),
]


class HistorySpec(Section):
    """Which earlier studies of the store lend their best recipes, and how many of those.

    `auto` are the studies on the most similar data.
    """

    studies: Studies = "auto"
    recipes: Annotated[int, Field(ge=1, le=20)] = 3  # at most, and a third of the budget


def _read_history(raw: object) -> object:
    if isinstance(raw, Mapping) or raw is None or isinstance(raw, HistorySpec):
        return raw
    if raw == "off":
        return None
    if raw == "auto":
        return {}
    raise ValueError(
        f"{show(raw)} is not allowed. Allowed: off, auto, or for example {{studies: [flowers]}}."
    )


def _write_history(history: HistorySpec | None) -> Any:
    return "off" if history is None else history.model_dump(mode="json")


History = Annotated[
    HistorySpec | None, BeforeValidator(_read_history), PlainSerializer(_write_history)
]
