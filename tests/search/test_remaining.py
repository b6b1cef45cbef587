"""What is left of a study for a worker that comes now: what `run` itself would still do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selector.errors import InterruptedRun
from selector.events import Event, TrialStarted
from selector.run import run
from selector.search.remaining import has_work
from selector.store import Store

# Of the two settings one learns nothing, so it is no chance who leads; the recipe is tried first.
STUDY = """\
name: tiny
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: [1.0e-2, 1.0e-9]
  freeze_depth: 0
  batch_size: 16
  image_size: 16
sampler: grid
pruner: none
budget: {trials: 2, epochs: 6}
seed: 1
"""
ONE_RECIPE = "start_from=[{lr: 0.01}]"
TWO_RECIPES = "start_from=[{lr: 0.01}, {lr: 1.0e-9}]"  # each of which is in the finals


@pytest.fixture
def study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store:
        yield store


def interrupt_heats(event: Event) -> None:
    if isinstance(event, TrialStarted) and event.heat is not None:
        raise KeyboardInterrupt


def test_nothing_is_left_where_one_finalist_would_be_alone(study_file: Path, opened: Store) -> None:
    run(study_file, store=opened.url, overrides=[ONE_RECIPE])

    assert opened.counts("tiny").complete == 2
    assert opened.finals("tiny") is None
    assert not has_work(opened, "tiny")


def test_finals_are_left_until_they_are_decided(study_file: Path, opened: Store) -> None:
    changes = [TWO_RECIPES, "finals={top: 1, seeds: 1}"]
    with pytest.raises(InterruptedRun):
        run(study_file, store=opened.url, overrides=changes, observe=interrupt_heats)
    assert has_work(opened, "tiny")

    run(study_file, store=opened.url, overrides=changes)

    decided = opened.finals("tiny")
    assert decided is not None and decided.decided_at is not None
    assert not has_work(opened, "tiny")
    opened.reopen_finals("tiny")  # whoever trained the last heat was killed before the decision
    assert has_work(opened, "tiny")
