"""A small study whose epochs are real work, and a folder to run it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.program import Surroundings, kill_what_is_left

STUDY = """\
name: faults
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  image_size: 32
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: 0
  batch_size: 16
pruner: none
budget: {trials: 24, epochs: 8}
training: {checkpoint_seconds: 0}
finals: off
device: cpu
seed: 3
"""
# Two trials, and finals: everything that a study comes to, as short as can be.
SMALL = (
    STUDY.replace("limit: 200", "limit: 100")
    .replace("image_size: 32", "image_size: 16")
    .replace("freeze_depth: 0", "freeze_depth: [0, 2]")
    .replace("trials: 24, epochs: 8", "trials: 2, epochs: 3")
    .replace("finals: off", "finals: {seeds: 2}")
)


@pytest.fixture(autouse=True)
def _no_program_is_left() -> Iterator[None]:
    yield
    kill_what_is_left()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of decoded images for the whole session: its content never depends on a test."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a study file, where programs are started."""
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def here(store_url: str, cache: Path) -> Surroundings:
    """This machine as it is, with an empty database of each kind."""
    return surroundings(store_url, cache)


def surroundings(url: str, cache: Path, **more: str) -> Surroundings:
    """Where programs of a test find the database and the cache."""
    return Surroundings({"SELECTOR_STORE": url, "SELECTOR_CACHE": str(cache), **more})
