"""Leaderboards and pages to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selector.records import Leaderboard
from selector.reporting.ranking import rank
from selector.store import Store


@pytest.fixture
def stored(tmp_path: Path, results: Any) -> Iterator[Store]:
    """A SQLite store with one study, `flowers`."""
    with Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store:
        results.fill(store)
        yield store


@pytest.fixture
def board(stored: Store) -> Leaderboard:
    """The leaderboard of `flowers`."""
    return rank(stored, "flowers")
