"""The seam of readers: what a reader gives, and the two places where pixels come from."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from selector.data.image import load_image
from selector.data.problems import Problem
from selector.errors import DataError
from selector.records import Bytes, Sample, SplitName

if TYPE_CHECKING:
    from selector.spec.schema import DataSpec

SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """One decoded image and the hash of the bytes it was decoded from."""

    image: Image.Image
    sha256: str


class ImageSource(Protocol):
    """The pixels behind the samples of a listing, by position."""

    def load(self, index: int) -> Loaded:
        """The RGB image with its content hash, in one read.

        DataError if the content is no image, OSError if it cannot be read.
        """
        ...

    def content_hash(self, index: int) -> str:
        """SHA-256 of the content, in hex."""
        ...

    def stamp(self, index: int) -> str | None:
        """A cheap text that changes when the content may have; None for what is in memory."""
        ...

    def path(self, index: int) -> Path | None:
        """The image's file; None for what is in memory."""
        ...

    def keep(self, indices: Sequence[int]) -> ImageSource:
        """The same source with only the given positions, in that order."""
        ...


@dataclass(frozen=True, slots=True)
class Listing:
    """The samples a reader found, their images, and everything that was wrong on the way."""

    samples: tuple[Sample, ...]
    images: ImageSource
    problems: tuple[Problem, ...] = ()
    skipped: tuple[str, ...] = ()  # files passed over because they are not meant to be images
    blamed: frozenset[str] = frozenset()  # classes with a problem of their own already

    def open(self, index: int) -> Image.Image:
        """The RGB image of a sample."""
        return self.images.load(index).image

    def content_hash(self, index: int) -> str:
        """SHA-256 of a sample's content, in hex."""
        return self.images.content_hash(index)

    def keep(self, indices: Sequence[int]) -> Listing:
        """The same listing with only the given samples, in that order."""
        samples = tuple(self.samples[index] for index in indices)
        images = self.images.keep(indices)
        return Listing(samples, images, self.problems, self.skipped, self.blamed)


class Reader(Protocol):
    """One way that labelled images are laid out."""

    def read(self, spec: DataSpec, *, base: Path) -> Listing:
        """Everything found, without decoding an image; mistakes go into `problems`."""
        ...


@dataclass(frozen=True, slots=True)
class FileImages:
    """Images in files. `names` stand for them in messages."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]

    def load(self, index: int) -> Loaded:
        with self.paths[index].open("rb") as file:
            image = load_image(file, name=self.names[index])  # of what is no image, only the head
            file.seek(0)
            return Loaded(image, hashlib.file_digest(file, "sha256").hexdigest())

    def content_hash(self, index: int) -> str:
        with self.paths[index].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def stamp(self, index: int) -> str:
        try:
            status = self.paths[index].stat()
        except OSError as error:  # `load` will say so
            return f"{self.paths[index]}|{error.strerror}"
        return f"{self.paths[index]}|{status.st_size}|{status.st_mtime_ns}"

    def path(self, index: int) -> Path:
        return self.paths[index]

    def keep(self, indices: Sequence[int]) -> FileImages:
        paths = tuple(self.paths[index] for index in indices)
        return FileImages(paths, tuple(self.names[index] for index in indices))


@dataclass(frozen=True, slots=True)
class GrayImages:
    """Images in memory, (n, height, width) uint8."""

    pixels: Bytes

    def load(self, index: int) -> Loaded:
        image = Image.fromarray(self.pixels[index]).convert("RGB")
        return Loaded(image, self.content_hash(index))

    def content_hash(self, index: int) -> str:
        pixels = self.pixels[index]
        return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()

    def stamp(self, index: int) -> None:  # noqa: ARG002 - nothing to look at
        return None

    def path(self, index: int) -> None:  # noqa: ARG002 - no file behind it
        return None

    def keep(self, indices: Sequence[int]) -> GrayImages:
        return GrayImages(self.pixels[np.asarray(indices, dtype=np.int64)])


@dataclass(slots=True)
class Found:
    """What a reader of files has come across so far."""

    samples: list[Sample] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    blamed: set[str] = field(default_factory=set)

    def add(self, sample: Sample, path: Path) -> None:
        """Take a sample with its image file."""
        self.samples.append(sample)
        self.paths.append(path)

    def wrong(self, kind: str, text: str) -> None:
        """Note a mistake."""
        self.problems.append(Problem(kind, text))

    def listing(self) -> Listing:
        """Everything that was found."""
        names = tuple(sample.id for sample in self.samples)
        return Listing(
            tuple(self.samples),
            FileImages(tuple(self.paths), names),
            tuple(self.problems),
            tuple(self.skipped),
            frozenset(self.blamed),
        )


def locate(path: str, base: Path) -> Path:
    """The path of the study file as an absolute one; relative paths start at `base`.

    DataError if it cannot be a path at all.
    """
    try:
        return Path(os.path.realpath(base / Path(path).expanduser()))
    except (ValueError, RuntimeError) as error:  # a zero byte, a home folder of nobody
        raise DataError([f"data.path '{path}' cannot be a path ({error}). Correct it."]) from error


def normal(name: str) -> str:
    """The name with every accented letter as one character, however the system spells it."""
    return unicodedata.normalize("NFC", name)
