"""Scheduled runs: a champion, its challengers, and when one replaces the other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selector.records import Renewal
from selector.renewal import renew
from selector.store import Store

STUDY = """
name: flowers
data: {path: images, split: {validation: 0.3, test: 0.1}}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [3.0e-3, 2.0e-2]}
  freeze_depth: 0
  batch_size: 8
  image_size: 8
weights: random
pruner: none
budget: {trials: 4, epochs: 3}
finals: {top: 2, seeds: 1}
"""
# Mean colours of the classes: what tells them apart. The later ones contradict the earlier ones.
SPRING = {"daisy": (150, 110, 128), "rose": (110, 150, 128)}
SUMMER = {"daisy": (110, 150, 128), "rose": (150, 110, 128)}
AUTUMN = {"daisy": (128, 110, 150), "rose": (128, 150, 110)}


def grow(images: Path, colours: dict[str, tuple[int, int, int]], count: int, *, seed: int) -> None:
    """Add `count` noisy pictures of each class that no other seed gives."""
    noise = np.random.default_rng(seed)
    for name, colour in colours.items():
        (images / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = np.array(colour) + noise.normal(0, 25, 3) + noise.normal(0, 20, (8, 8, 3))
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            picture.save(images / name / f"{seed}-{number}.png")


def replant(images: Path, colours: dict[str, tuple[int, int, int]], *, seed: int) -> None:
    """Other pictures in place of all there were."""
    shutil.rmtree(images)
    grow(images, colours, 80, seed=seed)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study file and its pictures in spring."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELECTOR_STORE", f"sqlite:///{tmp_path / 'selector.db'}")
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "study.yaml").write_text(STUDY)
    grow(tmp_path / "images", SPRING, 80, seed=1)
    return tmp_path


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{place / 'selector.db'}") as opened:
        yield opened


def night() -> Renewal:
    return renew("study.yaml")


def test_in_a_week_the_champion_changes_exactly_when_the_data_truly_changed(
    place: Path, store: Store
) -> None:
    images = place / "images"
    week = []

    def next_night() -> None:
        found = night()
        print(found.outcome, found.edition, found.reason)
        week.append((found.outcome, found.edition))

    next_night()
    next_night()
    grow(images, SPRING, 40, seed=2)
    next_night()
    replant(images, SUMMER, seed=3)
    next_night()
    next_night()
    grow(images, SUMMER, 40, seed=4)
    next_night()
    replant(images, AUTUMN, seed=5)
    next_night()
    assert week == [
        ("first", "flowers"),
        ("unchanged", "flowers"),
        ("kept", "flowers.e2"),
        ("swap", "flowers.e3"),
        ("unchanged", "flowers.e3"),
        ("kept", "flowers.e4"),
        ("swap", "flowers.e5"),
    ]
