"""The seam of report formats: pages of facts and tables, and what writes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Cell = str | int | float | bool | dt.datetime | None
Json = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a shown table; `drop` is the order in which narrow terminals lose it, 0 never."""

    heading: str
    right: bool = False
    drop: int = 0


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table for reading: cells are finished text."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    strong_rows: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class FlatTable:
    """A table for computing: raw values under plain names, as for CSV and data frames."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One thing to report, in every shape that a format may need."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[ShownTable, ...] = ()
    notes: tuple[str, ...] = ()
    document: Callable[[], Json]
    flat: Callable[[], FlatTable]


class Format(Protocol):
    """A way to write a page as text."""

    def __call__(self, page: Page, *, width: int, color: bool) -> str:
        """The page as text; `width` in terminal columns and `color` concern terminals only."""
        ...


def present(*tables: ShownTable) -> tuple[ShownTable, ...]:
    """The tables that have rows."""
    return tuple(table for table in tables if table.rows)
