"""IDX files, the format of MNIST and Fashion-MNIST: four files with given train and test splits."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from selector.data.readers.base import GrayImages, Listing, locate
from selector.errors import DataError
from selector.records import Bytes, Sample, SplitName

if TYPE_CHECKING:
    from selector.spec.schema import DataSpec

_PARTS: tuple[tuple[str, SplitName], ...] = (("train", "train"), ("t10k", "test"))
_UNSIGNED_BYTE = 0x08
_MAX_BYTES = 1 << 34  # a damaged header may ask for any size


class Idx:
    """A folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two `t10k` files.

    Each may be compressed (.gz). Classes are numbers, or the lines of `labels.txt` beside them.
    """

    def read(self, spec: DataSpec, *, base: Path) -> Listing:
        """All images in memory, named by split and number."""
        folder = locate(spec.path or "", base)
        parts = _read_parts(folder)
        labels = np.concatenate([labels for _, labels in parts])
        class_names = _class_names(folder, int(labels.max(initial=0)) + 1)
        samples = tuple(
            Sample(f"{split}/{index:05d}", class_names[label], split=split)
            for (_, split), (_, labels_of_part) in zip(_PARTS, parts, strict=True)
            for index, label in enumerate(labels_of_part.tolist())
        )
        return Listing(samples, GrayImages(np.concatenate([pixels for pixels, _ in parts])))


def _read_parts(folder: Path) -> list[tuple[Bytes, Bytes]]:
    """Images (n, height, width) and labels (n,) of train and test; every mistake in one error."""
    problems: list[str] = []
    arrays: list[tuple[Bytes, Bytes]] = []
    for prefix, _ in _PARTS:
        pair: list[Bytes] = []
        for name, dimensions in (
            (f"{prefix}-images-idx3-ubyte", 3),
            (f"{prefix}-labels-idx1-ubyte", 1),
        ):
            try:
                pair.append(_read_idx(_find(folder, name), dimensions))
            except DataError as error:
                problems += error.problems
        if len(pair) == 2:
            problems += _uneven(prefix, *pair)
            arrays.append((pair[0], pair[1]))
    if not problems and arrays[0][0].shape[1:] != arrays[1][0].shape[1:]:
        problems.append(f"{folder}: train and test images differ in size.")
    if problems:
        raise DataError(problems)
    return arrays


def _uneven(prefix: str, pixels: Bytes, labels: Bytes) -> list[str]:
    if len(pixels) == len(labels):
        return []
    return [f"{prefix}: {len(pixels)} images, but {len(labels)} labels. Fetch the files again."]


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError([f"{folder}: the IDX file {name} (or {name}.gz) is missing."])


def _read_idx(path: Path, dimensions: int) -> Bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _parse(cast(BinaryIO, file), dimensions)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError([f"{path}: not a whole IDX file ({error}). Fetch it again."]) from error


def _parse(file: BinaryIO, dimensions: int) -> Bytes:
    """The array of an IDX file: two zero bytes, type, number of dimensions, sizes, values."""
    magic = file.read(4)
    if magic != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise ValueError(f"it starts with {magic.hex(' ')}")
    shape = tuple(np.frombuffer(file.read(4 * dimensions), dtype=">u4").tolist())
    size = math.prod(shape)
    if len(shape) != dimensions or not 0 < size <= _MAX_BYTES:
        raise ValueError(f"its header gives the sizes {shape}")
    content = file.read(size)
    if len(content) != size:
        raise ValueError(f"{len(content)} values of {size}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _class_names(folder: Path, needed: int) -> list[str]:
    path = folder / "labels.txt"
    if not path.is_file():
        return [str(number) for number in range(needed)]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError([f"{path}: not a readable text in UTF-8 ({error})."]) from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(names) < needed or len(set(names)) < len(names):
        raise DataError(
            [
                f"{path}: {len(set(names))} different class names for {needed} classes. "
                "One name a line is needed, in the order of the label numbers."
            ]
        )
    return names
