"""Splits that say what their pixels are, backbones of every source, and a cache that keeps all."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import torch

from selector import backbones, tasks
from selector.events import PrefixUsed
from selector.records import SplitImages, TrainingData
from selector.training import Network
from selector.training.cache import PrefixCache
from selector.training.images import Images
from selector.training.prefix import ComputedPrefix, hold

from ..conftest import CLASSES, CPU, RECIPE

# name, image size: every source, convolutions and tokens
FAMILIES = {
    "toy:cnn": 16,
    "bundled:efficientnet_lite0": 32,
    "timm:mobilenetv3_small_050": 32,
    "torchvision:mobilenet_v3_small": 32,
    "timm:vit_tiny_patch16_224": 32,
    "torchvision:efficientnet_b0": 32,  # stochastic depth in every stage
}
QUOTA = 10**9
N = 12
BYTES = {1: 16 * 256, 2: 24 * 64, 3: 32 * 16, 4: 40 * 16, 5: 64}  # numbers a sample, by depth


def make_named_split(n: int, *, size: int = 16, seed: int = 0) -> SplitImages:
    """Noise with a bright part by class, under a name that follows from the pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n, dtype=np.int64) % len(CLASSES))
    images = rng.integers(0, 96, (n, size, size, 3), dtype=np.uint8)
    images[labels == 1, :, : size // 2] += 128
    images[labels == 2, : size // 2] += 128
    content = hashlib.sha256(images.tobytes()).hexdigest()
    return SplitImages(images, labels, tuple(f"{seed}/{i}" for i in range(n)), content=content)


def make_data(*, size: int = 16, n_train: int = 70, n_validation: int = 67) -> TrainingData:
    """Both splits with a ragged last batch."""
    train = make_named_split(n_train, size=size, seed=1)
    return TrainingData(train, make_named_split(n_validation, size=size, seed=2), CLASSES)


def make_network_of(name: str, freeze_depth: int, *, size: int = 16, seed: int = 0) -> Network:
    backbone = backbones.load(name, weights="random", image_size=size, seed=seed)
    head = tasks.load("image_classification").head(backbone.feature_dim, len(CLASSES), seed=seed)
    return Network(backbone, head, freeze_depth=freeze_depth)


def recipe_of(network: Network, **changes):
    name, size = network.backbone.name, network.backbone.preprocessing.size
    fixed = {"backbone": name, "image_size": size, "freeze_depth": network.freeze_depth}
    return dataclasses.replace(RECIPE, **fixed, **changes)


def computed_of(network: Network, split: SplitImages, **changes) -> ComputedPrefix:
    images = Images(split.images, network.backbone.preprocessing, CPU)
    return ComputedPrefix(
        network.place(CPU), images, **({"precision": "fp32", "device": CPU} | changes)
    )


class Watched:
    """A cache that keeps whatever has room, and what trials asked of it."""

    def __init__(self, folder: Path, *, depths=range(1, 6), quota_bytes: int = QUOTA, **options):
        self.folder = folder / "prefixes"
        self.uses: list[PrefixUsed] = []
        options = {"admit": lambda cost: True, **options}
        self.cache = PrefixCache(
            folder,
            quota_bytes=quota_bytes,
            depths=dict.fromkeys(FAMILIES, frozenset(depths)),
            observe=self.uses.append,
            **options,
        )

    def open(self, network: Network, split: SplitImages, **changes):
        computed = computed_of(network, split, **changes)
        return self.cache.open(computed, split, resident_bytes=2**30)

    @property
    def outcomes(self) -> list[str]:
        return [use.outcome for use in self.uses]

    @property
    def entries(self) -> list[Path]:
        return sorted(p for p in self.folder.iterdir() if p.name[0] != "." and p.name != "locks")

    @property
    def used_bytes(self) -> int:
        """Of the rows, finished or not."""
        return sum(path.stat().st_size for path in self.folder.rglob("rows.npy"))


SPLIT = make_named_split(N)


def entry_bytes(cut: int) -> int:
    """Of the rows alone: a header of NumPy and the numbers."""
    return 128 + N * BYTES[cut] * 4


def expected(depth: int, split=SPLIT) -> torch.Tensor:
    computed = computed_of(make_network_of("toy:cnn", depth), split)
    return hold(computed, limit_bytes=2**30).features(torch.arange(len(split.labels)))


def opened(watched: Watched, depth: int, split=SPLIT):
    return watched.open(make_network_of("toy:cnn", depth), split)


def assert_right(stored, depth: int, split=SPLIT) -> None:
    assert torch.equal(stored.features(torch.arange(len(split.labels))), expected(depth, split))
