"""The look at every image before the first trial: decoded once, hashed, compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from selector.data.cache import fill_once
from selector.data.duplicates import SIDE, SMALLEST, look_alikes, thumbnail
from selector.data.image import DECODER_VERSION, load_image
from selector.data.parallel import Progress, map_threads
from selector.data.readers.base import Listing
from selector.errors import DataError
from selector.records import Bytes

_VERSION = 2  # raise it with any change to what a verdict says
ALONE, NOT_COMPARED = -1, -2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one image, or what is wrong with it.

    `sha256` is of the file's content, `pixels` of the decoded picture: it is equal for a file
    that was saved again without loss. `alike` is the number of a group of near duplicates, -1 for
    an image that is in none, -2 for one that is too small or too plain to be compared.
    """

    sha256: str | None
    pixels: str | None = None
    alike: int = NOT_COMPARED
    fault: str | None = None
    unreadable: bool = False  # the disk's fault rather than the content's: not to be remembered


def audit(
    listing: Listing, *, cache: Path | None = None, progress: Progress | None = None
) -> tuple[Verdict, ...]:
    """One verdict a sample, in order.

    With `cache`, files that have kept path, size and time of change since the last audit are not
    opened again. Images in memory that are too small to have near duplicates are only hashed.
    """
    stamps = _stamps(listing)
    if stamps is None and _all_small(listing):
        hashes = (listing.content_hash(index) for index in range(len(listing.samples)))
        return tuple(Verdict(sha256, sha256) for sha256 in hashes)
    if cache is None or stamps is None:
        return _examine_all(listing, progress)
    path = cache / "audit" / f"{_key(stamps)}.json"
    if path.exists():
        return tuple(Verdict(**each) for each in json.loads(path.read_text()))
    verdicts = _examine_all(listing, progress)
    if not any(verdict.unreadable for verdict in verdicts):
        text = json.dumps([asdict(verdict) for verdict in verdicts])
        fill_once(path, lambda temporary: temporary.write_text(text))
    return verdicts


def check_files(paths: Sequence[Path]) -> None:
    """Decode every image once; DataError with each one that cannot be used."""

    def fault(path: Path) -> tuple[str, ...]:
        try:
            load_image(path)
        except DataError as error:
            return error.problems
        return ()

    faults = map_threads(fault, paths, label="checking images", progress=None)
    problems = [problem for found in faults for problem in found]
    if problems:
        raise DataError(problems)


def _stamps(listing: Listing) -> list[str] | None:
    stamps = [listing.images.stamp(index) for index in range(len(listing.samples))]
    texts = [stamp for stamp in stamps if stamp is not None]
    return texts if len(texts) == len(stamps) else None


def _all_small(listing: Listing) -> bool:
    # Those in memory are rows of one array: the first is as large as any.
    return not listing.samples or min(listing.open(0).size) < SMALLEST


def _key(stamps: Iterable[str]) -> str:
    digest = hashlib.sha256(f"{_VERSION} {DECODER_VERSION} {PIL.__version__}".encode())
    for stamp in stamps:
        digest.update(f"\n{stamp}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _examine_all(listing: Listing, progress: Progress | None) -> tuple[Verdict, ...]:
    thumbnails = np.zeros((len(listing.samples), SIDE, SIDE, 3), dtype=np.uint8)

    def examine(index: int) -> Verdict:
        try:
            loaded = listing.images.load(index)
        except DataError as error:
            return Verdict(None, fault=error.problems[0])
        except OSError as error:
            sample_id = listing.samples[index].id
            fault = f"{sample_id}: cannot be read ({error.strerror})."
            return Verdict(None, fault=fault, unreadable=True)
        small = thumbnail(loaded.image)
        if small is not None:
            thumbnails[index] = small
        alike = NOT_COMPARED if small is None else ALONE
        return Verdict(loaded.sha256, _pixels(loaded.image), alike)

    numbers = range(len(listing.samples))
    verdicts = tuple(map_threads(examine, numbers, label="checking images", progress=progress))
    return _compared(verdicts, thumbnails)


def _pixels(image: Image.Image) -> str:
    """SHA-256 of an RGB picture, in hex."""
    digest = hashlib.sha256(f"{image.width} x {image.height}\n".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _compared(verdicts: Sequence[Verdict], thumbnails: Bytes) -> tuple[Verdict, ...]:
    """The verdicts with the groups of near duplicates."""
    positions = [index for index, verdict in enumerate(verdicts) if verdict.alike == ALONE]
    groups = dict(zip(positions, look_alikes(thumbnails[positions]).tolist(), strict=True))
    return tuple(
        replace(verdict, alike=groups.get(index, NOT_COMPARED))
        for index, verdict in enumerate(verdicts)
    )
