"""Networks with random weights and recipes, alike for all rows of a benchmark."""

from __future__ import annotations

import torch

from benchmarks import pictures
from selector import backbones, tasks
from selector.records import Recipe
from selector.training import Network, precision

TASK = tasks.load("image_classification")


def network_of(name: str, freeze_depth: int, *, size: int) -> Network:
    """A new network; the same one every time."""
    backbone = backbones.load(name, weights="random", image_size=size, seed=0)
    head = TASK.head(backbone.feature_dim, pictures.CLASSES, seed=0)
    return Network(backbone, head, freeze_depth=freeze_depth)


def recipe_of(
    name: str, freeze_depth: int, *, size: int, device: torch.device, batch: int, epochs: int
) -> Recipe:
    """A recipe in the precision that `auto` chooses on the device; without clipping."""
    return Recipe(
        backbone=name,
        lr=1e-3,
        freeze_depth=freeze_depth,
        batch_size=batch,
        image_size=size,
        epochs=epochs,
        clip_norm=0.0,
        precision=precision.resolve("auto", device),
    )
