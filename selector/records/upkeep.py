"""What keeping a store in order finds and does: schemas, and what a deletion frees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SchemaState = Literal["absent", "current", "older", "newer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """The tables of one program in a store: the revision they have, and the one it needs.

    `here` is None where they were never made.
    """

    tables: Literal["selector", "optuna"]
    here: str | None
    needed: str
    state: SchemaState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUpgrade:
    """What an upgrade of a store did; without `backup` none was made, or nothing was to do."""

    before: tuple[SchemaStatus, ...]
    after: tuple[SchemaStatus, ...]
    backup: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContents:
    """All that a study has in a store and on this machine's disk; `rows` counts by table.

    `openings` of the test split are none of what goes with it.
    """

    study: str
    trials: int  # of the search and its finals
    rows: Mapping[str, int]
    openings: int
    optuna_studies: tuple[str, ...]
    files: tuple[Path, ...]
    bytes: int
