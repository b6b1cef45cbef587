"""Pictures of flowers that grow, are replanted and change their colours: data for a schedule."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

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
budget: {trials: 3, epochs: 3}
finals: off
"""
Colours = Mapping[str, tuple[int, int, int]]
# The mean colour of each class, and so what tells them apart: later ones contradict earlier ones.
SPRING = {"daisy": (150, 110, 128), "rose": (110, 150, 128)}
SUMMER = {"daisy": (110, 150, 128), "rose": (150, 110, 128)}
AUTUMN = {"daisy": (128, 110, 150), "rose": (128, 150, 110)}
PLANTS = 80  # of each class


def grow(images: Path, colours: Colours, count: int = PLANTS, *, seed: int) -> None:
    """Add `count` noisy pictures of each class that no other seed gives."""
    noise = np.random.default_rng(seed)
    for name, colour in colours.items():
        (images / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = np.array(colour) + noise.normal(0, 25, 3) + noise.normal(0, 20, (8, 8, 3))
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            picture.save(images / name / f"{seed}-{number}.png")


def replant(images: Path, colours: Colours, *, seed: int) -> None:
    """Other pictures in place of all there were."""
    shutil.rmtree(images)
    grow(images, colours, seed=seed)
