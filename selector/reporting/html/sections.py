"""A report's sections: a heading, words, a figure, and the same numbers as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from selector.reporting.base import ShownTable
from selector.reporting.html.pictures import Captioned, Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plotly figure as plain JSON, and its height in pixels."""

    name: str
    spec: dict[str, Any]
    height: int = 380


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the report; `tables` that repeat a figure are folded below it."""

    anchor: str
    title: str
    words: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[ShownTable, ...] = ()
    pictures: tuple[Picture, ...] = ()
    groups: tuple[tuple[Captioned, ...], ...] = ()  # of pictures that belong together
    command: str = ""

    @property
    def folded(self) -> bool:
        """Whether the tables stand behind a fold, since a figure shows the same."""
        return bool(self.figures)
