"""The look at every image before the first trial: each is decoded once and its content hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import PIL

from selector.data.cache import fill_once
from selector.data.image import DECODER_VERSION, load_image
from selector.data.parallel import Progress, map_threads
from selector.data.readers.base import Listing
from selector.errors import DataError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one image: the hash of its content, or what is wrong with it."""

    sha256: str | None
    fault: str | None = None
    unreadable: bool = False  # the disk's fault rather than the content's: not to be remembered


def audit(
    listing: Listing, *, cache: Path | None = None, progress: Progress | None = None
) -> tuple[Verdict, ...]:
    """One verdict a sample, in order.

    With `cache`, files that have kept path, size and time of change since the last audit are not
    opened again. Images in memory are only hashed.
    """
    stamps = _stamps(listing)
    if stamps is None:
        return tuple(Verdict(listing.content_hash(index)) for index in range(len(listing.samples)))
    if cache is None:
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


def _key(stamps: Iterable[str]) -> str:
    digest = hashlib.sha256(f"{DECODER_VERSION} {PIL.__version__}".encode())
    for stamp in stamps:
        digest.update(f"\n{stamp}".encode())
    return digest.hexdigest()[:32]


def _examine_all(listing: Listing, progress: Progress | None) -> tuple[Verdict, ...]:
    def examine(index: int) -> Verdict:
        try:
            return Verdict(listing.images.load(index).sha256)
        except DataError as error:
            return Verdict(None, error.problems[0])
        except OSError as error:
            sample_id = listing.samples[index].id
            return Verdict(None, f"{sample_id}: cannot be read ({error.strerror}).", True)

    numbers = range(len(listing.samples))
    return tuple(map_threads(examine, numbers, label="checking images", progress=progress))
