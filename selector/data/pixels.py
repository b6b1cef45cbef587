"""Decode once: the images of a split at one size, in a memory-mapped file that all trials share."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import PIL

from selector.data.cache import fill_once
from selector.data.dataset import Dataset, indices
from selector.data.image import DECODER_VERSION, resize
from selector.data.parallel import Progress, map_threads
from selector.errors import DataError, UnavailableError
from selector.records import Bytes, Ints, Preprocessing, SplitImages, SplitName, TrainingData

_SPARE_BYTES = 64 << 20  # left free on the disk of the cache
_verified: set[tuple[Path, int, int]] = set()  # files that this process has read from end to end


def decode(
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    cache: Path,
    progress: Progress | None = None,
) -> TrainingData:
    """Train and validation images at the preprocessing's size: all that a trial may see."""

    def images(split: SplitName) -> SplitImages:
        return decode_split(dataset, split, preprocessing, cache=cache, progress=progress)

    return TrainingData(images("train"), images("validation"), dataset.class_names)


def decode_split(
    dataset: Dataset,
    split: SplitName,
    preprocessing: Preprocessing,
    *,
    cache: Path,
    progress: Progress | None = None,
) -> SplitImages:
    """The images of one split, read-only and memory-mapped below `cache`.

    The first caller decodes them in threads, others wait and share the file. One that is damaged
    or cut short is decoded again; it is verified once per process. DataError if a file has changed
    since the audit, UnavailableError if the cache has no room.
    """
    members = indices(dataset.splits, split)
    key = _key(dataset, members, preprocessing)
    path = cache / "images" / f"{key}.npy"
    shape = (len(members), preprocessing.size, preprocessing.size, 3)
    label = f"decoding {split} at {preprocessing.size} px"

    def fill(temporary: Path) -> None:
        _check_room(temporary.parent, int(np.prod(shape)))
        decoded = map_threads(load, members.tolist(), label=label, progress=progress)
        _write(temporary, shape, decoded, about=_about(path))

    def load(index: int) -> Bytes:
        return _load(dataset, index, preprocessing)

    fill_once(path, fill, sound=_sound)
    images = cast(Bytes, np.load(path, mmap_mode="r", allow_pickle=False))
    sample_ids = tuple(dataset.samples[index].id for index in members)
    return SplitImages(images, dataset.labels[members], sample_ids, content=key)


def _key(dataset: Dataset, members: Ints, preprocessing: Preprocessing) -> str:
    """A name that changes with anything that changes the decoded pixels or their order."""
    decoder = f"{DECODER_VERSION} {PIL.__version__}"
    digest = hashlib.sha256(
        f"{dataset.summary.fingerprint} {preprocessing.size} {preprocessing.interpolation} "
        f"{decoder}".encode()
    )
    for index in members:
        digest.update(f"\n{dataset.samples[index].id}".encode())
    return digest.hexdigest()[:32]


def _load(dataset: Dataset, index: int, preprocessing: Preprocessing) -> Bytes:
    name = dataset.samples[index].id
    try:
        loaded = dataset.images.load(index)
    except OSError as error:
        raise DataError([f"{name}: cannot be read any more ({error.strerror})."]) from error
    if loaded.sha256 != dataset.hashes[index]:
        # Its pixels would be filed under a fingerprint that is no longer theirs.
        raise DataError([f"{name}: the file has changed since the audit. Run again."])
    return resize(loaded.image, preprocessing)


def _about(path: Path) -> Path:
    """Where size and checksum of a file of pixels are written down."""
    return path.with_suffix(".json")


def _write(path: Path, shape: tuple[int, ...], decoded: Iterable[Bytes], *, about: Path) -> None:
    """Write an array of NumPy row by row, and what is needed to verify it."""
    header = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    checksum = size = 0
    with path.open("wb") as file:
        # Written in order instead of through the map: a full disk is an error, not a crash.
        for content in chain([header.getvalue()], (pixels.tobytes() for pixels in decoded)):
            file.write(content)
            checksum, size = zlib.crc32(content, checksum), size + len(content)
    # Of no use before the pixels have their name; where it is lost or torn, they are decoded again.
    about.write_text(json.dumps({"bytes": size, "checksum": checksum}))


def _sound(path: Path) -> bool:
    """Whether a file of pixels is there, as it was written."""
    try:
        found = path.stat()
        about = json.loads(_about(path).read_text())
    except (FileNotFoundError, ValueError):
        return False
    identity = (path, found.st_ino, found.st_mtime_ns)
    if not isinstance(about, dict) or found.st_size != about.get("bytes"):
        return False
    if identity not in _verified:
        if zlib.crc32(np.memmap(path, np.uint8, mode="r").data) != about.get("checksum"):
            return False
        _verified.add(identity)
    return True


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _SPARE_BYTES > free:
        raise UnavailableError(
            f"The cache folder '{folder}' has {free / 1e9:.1f} GB free, the decoded images need "
            f"{needed / 1e9:.1f} GB. Free some space, choose a smaller image_size or name another "
            "folder in SELECTOR_CACHE."
        )
