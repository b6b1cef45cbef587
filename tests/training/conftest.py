"""A tiny backbone, separable images and a recipe that trains in a moment."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from selector import backbones, tasks
from selector.records import Recipe, SplitImages, TrainingData
from selector.training import Network

SIZE = 16
CPU = torch.device("cpu")
CLASSES = ("dark", "left", "top")

RECIPE = Recipe(
    backbone="toy:cnn",
    lr=0.01,
    freeze_depth=0,
    batch_size=16,
    image_size=SIZE,
    epochs=2,
    warmup_epochs=0.5,
)


def make_split(n: int, *, seed: int) -> SplitImages:
    """Noise that is dark everywhere, bright on the left, or bright at the top."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n, dtype=np.int64) % len(CLASSES))
    images = rng.integers(0, 96, (n, SIZE, SIZE, 3), dtype=np.uint8)
    images[labels == 1, :, : SIZE // 2] += 128
    images[labels == 2, : SIZE // 2] += 128
    return SplitImages(images, labels, tuple(f"{seed}/{i}" for i in range(n)))


def make_network(freeze_depth: int, *, seed: int = 0) -> Network:
    backbone = backbones.load("toy:cnn", weights="random", image_size=SIZE, seed=seed)
    head = tasks.load("image_classification").head(backbone.feature_dim, len(CLASSES), seed=seed)
    return Network(backbone, head, freeze_depth=freeze_depth)


def recipe(**changes) -> Recipe:
    return dataclasses.replace(RECIPE, **changes)


@pytest.fixture(scope="session")
def data() -> TrainingData:
    return TrainingData(make_split(49, seed=1), make_split(30, seed=2), CLASSES)


@pytest.fixture(scope="session")
def task():
    return tasks.load("image_classification")
