"""Leaderboards and pages to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selector.records import Heat, Leaderboard
from selector.reporting.ranking import rank
from selector.store import Store


@pytest.fixture
def stored(tmp_path: Path, results: Any) -> Iterator[Store]:
    """A SQLite store with one study, `flowers`."""
    with Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store:
        results.fill(store)
        yield store


@pytest.fixture
def decided(stored: Store, results: Any) -> Store:
    """The same store once finals have turned its order round: trial 1 led, trial 0 is the pick."""
    stored.create_finals("flowers", results.study("flowers.finals"), [results.n_samples])
    run_id = stored.runs("flowers")[0].id
    for number, (heat, accuracy) in enumerate(((Heat(0, 1), 0.99), (Heat(1, 1), 0.6))):
        start = results.trial_start(number, origin="finals", seed=heat.seed, heat=heat)
        stored.start_trial("flowers.finals", run_id, start)
        stored.finish_trial("flowers.finals", results.complete(number, accuracy=accuracy))
    stored.decide_finals("flowers", pick=0, reason="best mean f1_macro in one run")
    return stored


@pytest.fixture
def board(stored: Store) -> Leaderboard:
    """The leaderboard of `flowers`."""
    return rank(stored, "flowers")
