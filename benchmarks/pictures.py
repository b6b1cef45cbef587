"""Pictures that benchmarks train on: generated ones, or a folder of one's own."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from selector import data
from selector.records import Preprocessing, SplitImages, TrainingData
from selector.spec.schema import DataSpec

CLASSES = 8


def generated(n: int, *, size: int) -> TrainingData:
    """`n` training and n / 3 validation pictures: stripes of a class's own angle under noise."""
    names = tuple(f"stripes-{k}" for k in range(CLASSES))
    return TrainingData(_stripes(n, size, seed=1), _stripes(max(1, n // 3), size, seed=2), names)


def from_folder(folder: Path, preprocessing: Preprocessing) -> TrainingData:
    """The pictures of an ImageFolder tree, decoded for one backbone."""
    dataset = data.inspect(DataSpec(path=str(folder)), base=Path.cwd())
    cache = Path(tempfile.gettempdir()) / "selector-benchmarks"
    return data.decode(dataset, preprocessing, cache=cache)


def _stripes(n: int, size: int, *, seed: int) -> SplitImages:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n, dtype=np.int64) % CLASSES)
    rows, columns = np.mgrid[:size, :size] / size
    images = rng.integers(0, 128, (n, size, size, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        angle = np.pi * label / CLASSES
        wave = np.sin(25 * (rows * np.cos(angle) + columns * np.sin(angle)) + rng.uniform(0, 6))
        image += (60 * (wave > 0)).astype(np.uint8)[..., None]
    content = hashlib.sha256(images.tobytes()).hexdigest()
    return SplitImages(images, labels, tuple(f"{seed}/{i}" for i in range(n)), content=content)
