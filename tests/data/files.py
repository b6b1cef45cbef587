"""Small data sets on disk, made of real files."""

from __future__ import annotations

import csv
import gzip
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from selector.errors import DataError
from selector.spec.schema import DataSpec


def picture(seed: int, *, size: tuple[int, int] = (12, 9)) -> Image.Image:
    """A random RGB image of `size` (width, height)."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def save_picture(path: Path, seed: int, *, size: tuple[int, int] = (12, 9)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size=size).save(path)
    return path


def class_folders(root: Path, counts: Mapping[str, int], *, suffix: str = ".png") -> Path:
    """A folder with `counts[name]` images for every class; no two images are alike."""
    for index, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            seed = 1000 * index + number + 100_000 * len(root.name)
            save_picture(root / name / f"{number:03d}{suffix}", seed)
    return root


def table(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def listed_images(folder: Path, per_class: int, **columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows for images that exist: `per_class` each of the classes ant and bee."""
    rows = []
    for number in range(2 * per_class):
        save_picture(folder / "images" / f"{number}.png", number)
        row = {"path": f"images/{number}.png", "label": ("ant", "bee")[number % 2]}
        row |= {name: values[number] for name, values in columns.items()}
        rows.append(row)
    return rows


def idx_files(folder: Path, *, train: int = 12, test: int = 6, compressed: bool = False) -> Path:
    """Four IDX files with images of 5 x 4 pixels in three classes."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for prefix, count in (("train", train), ("t10k", test)):
        pixels = generator.integers(0, 256, (count, 5, 4), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 3
        _write_idx(folder / f"{prefix}-images-idx3-ubyte", pixels, compressed=compressed)
        _write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels, compressed=compressed)
    return folder


def _write_idx(path: Path, values: np.ndarray, *, compressed: bool) -> None:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    content = header + values.tobytes()
    if compressed:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def data(path: Path | None = None, **settings: object) -> DataSpec:
    """The data section of a study file."""
    values = {"path": None if path is None else str(path), **settings}
    return DataSpec.model_validate({key: value for key, value in values.items() if value})


def problems_of(error: DataError) -> str:
    return "\n".join(error.problems)
