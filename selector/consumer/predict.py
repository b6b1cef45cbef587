#!/usr/bin/env python3
"""Labels images with the network of this bundle: python predict.py IMAGE [IMAGE ...]

Needs what requirements.txt lists. Prints one line of JSON an image: its path, its label and the
probability of every class. As a module: `Classifier.open(folder).predict(paths)`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FORMAT_VERSION = 1
BATCH = 64

_MOST_BYTES = 16_000_000  # of bundle.json
_LARGEST_SIDE = 4096  # pixels that a network takes
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_MAX_PIXELS = 64_000_000
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class BundleError(ValueError):
    """The bundle is damaged, changed, or of a version that this program does not read."""


class Classifier:
    """A bundle, ready to label images."""

    def __init__(self, bundle: Mapping[str, Any], network: Callable[..., np.ndarray]) -> None:
        self.bundle = bundle
        self.class_names: tuple[str, ...] = tuple(bundle["class_names"])
        self._network = network

    @classmethod
    def open(cls, folder: Path, *, threads: int | None = None, runtime: Any = None) -> Classifier:
        """The classifier in a folder; BundleError where the folder is not as it was written.

        `threads` bounds the processor threads of the network. `runtime` replaces runtime.py.
        """
        bundle = read_bundle(folder)
        file = folder / bundle["file"]
        _check_content(file, bundle["files"].get(file.name))
        opened = runtime or importlib.import_module("runtime").Runtime  # the file beside this one
        try:
            network = opened(file, bundle, threads)
        except ImportError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise BundleError(f"{file}: cannot be opened: {reason}") from error
        _check_description(network.description, bundle, file)
        return cls(bundle, network)

    def predict(self, paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
        """`path`, `label` and `probabilities` of each image, in order."""
        for start in range(0, len(paths), BATCH):
            chunk = paths[start : start + BATCH]
            found = self.log_probabilities(np.stack([self.pixels(path) for path in chunk]))
            for path, row in zip(chunk, np.exp(found), strict=True):
                named = dict(zip(self.class_names, (float(p) for p in row), strict=True))
                yield {"path": str(path), "label": self.label(named), "probabilities": named}

    def label(self, probabilities: Mapping[str, float]) -> str:
        """The most probable class; of two classes, the one on its side of the threshold."""
        threshold = self.bundle["threshold"]
        if threshold is None:
            return max(probabilities, key=lambda name: probabilities[name])
        positive = str(threshold["class"])
        (other,) = (name for name in self.class_names if name != positive)
        return positive if probabilities[positive] >= threshold["value"] else other

    def pixels(self, image: Path | Image.Image) -> np.ndarray:
        """What the network takes of an image: (size, size, 3) uint8."""
        return prepare(image, self.bundle["preprocessing"])

    def log_probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Log probabilities (n, classes) float32 of pixels (n, size, size, 3) uint8."""
        parts = [self._network(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)]
        return np.concatenate(parts).astype(np.float32)


def read_bundle(folder: Path) -> dict[str, Any]:
    """The content of a folder's bundle.json; BundleError where it is none."""
    path = folder / "bundle.json"
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise BundleError(f"{path}: is larger than {_MOST_BYTES // 1_000_000} MB")
        bundle = json.loads(content.decode("utf-8"))
        version = bundle["format_version"]
    except BundleError:
        raise
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read ({error})") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: format version {version!r:.40}; this program reads {FORMAT_VERSION}"
        )
    wrong = ", ".join(_wrong(bundle))
    if wrong:
        raise BundleError(f"{path}: is not as it was written: {wrong}")
    return dict(bundle)


def _wrong(bundle: Mapping[str, Any]) -> Iterator[str]:
    """The entries of bundle.json that no bundle has, for whoever wrote them may mean harm."""
    names, how, threshold = (bundle.get(k) for k in ("class_names", "preprocessing", "threshold"))
    if not _is_plain_name(bundle.get("file")):
        yield "file"  # what is read lies in the bundle's own folder
    if not isinstance(bundle.get("files"), dict):
        yield "files"
    for key, kind in (("format", str), ("study", str), ("backbone", str), ("trial", int)):
        if not isinstance(bundle.get(key), kind):
            yield key
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        yield "class_names"
    elif threshold is not None and not _is_threshold(threshold, names):
        yield "threshold"
    if not (isinstance(how, dict) and _is_preprocessing(how)):
        yield "preprocessing"


def _is_plain_name(name: Any) -> bool:
    return isinstance(name, str) and bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name))


def _is_threshold(threshold: Any, names: Sequence[str]) -> bool:
    if not isinstance(threshold, dict) or len(names) != 2 or threshold.get("class") not in names:
        return False
    return _is_number(threshold.get("value"))


def _is_preprocessing(how: Mapping[str, Any]) -> bool:
    size, interpolation = how.get("size"), how.get("interpolation")
    return (
        type(size) is int
        and 0 < size <= _LARGEST_SIDE
        and isinstance(interpolation, str)
        and interpolation in _RESAMPLING
        and all(_is_colour(how.get(key)) for key in ("mean", "std"))
    )


def _is_colour(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def prepare(source: Path | Image.Image, preprocessing: Mapping[str, Any]) -> np.ndarray:
    """Pixels (size, size, 3) uint8: shorter side to `size`, centre square kept.

    Normalisation is not part of it: the network does that.
    """
    image = source if isinstance(source, Image.Image) else read_image(source)
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    box = (left, top, left + side, top + side)
    size = int(preprocessing["size"])
    resampling = _RESAMPLING[preprocessing["interpolation"]]
    return np.array(image.resize((size, size), resampling, box=box))


def read_image(path: Path) -> Image.Image:
    """An image file as RGB: upright by its EXIF orientation, transparency laid on white."""
    with Image.open(path, formats=_FORMATS) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise ValueError(f"{path}: more than {_MAX_PIXELS // 1_000_000} million pixels")
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):
            return _from_16_bits(np.asarray(upright), path)
        if upright.mode == "F":
            raise ValueError(f"{path}: floating-point pixels have no fixed range")
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        white = Image.new("RGBA", upright.size, "white")
        white.alpha_composite(upright.convert("RGBA"))
        return white.convert("RGB")


def _from_16_bits(values: np.ndarray, path: Path) -> Image.Image:
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError(f"{path}: 32-bit pixels have no fixed range")
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")


def _check_content(file: Path, expected: str | None) -> None:
    if file.is_symlink() or not file.is_file():
        raise BundleError(f"{file}: is missing, or no file of the bundle itself")
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise BundleError(f"{file}: cannot be read ({error.strerror})") from error
    if found != expected:
        wanted = f"{expected!s:.12}... as in bundle.json" if expected else "listed in bundle.json"
        raise BundleError(
            f"{file}: its sha256 is {found[:12]}..., not {wanted}; damaged or changed"
        )


def _check_description(text: str, bundle: Mapping[str, Any], file: Path) -> None:
    """The network's file says itself what it was made for: bundle.json must agree."""
    try:
        described = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{file}: says nothing of its classes and preprocessing") from error
    for key, value in described.items():
        if bundle.get(key) != value:
            raise BundleError(
                f"bundle.json was changed: its {key} is not what {file.name} was made with"
            )


def main(arguments: Sequence[str]) -> int:
    """Print one line of JSON for each image named."""
    if not arguments:
        sys.stderr.write("usage: python predict.py IMAGE [IMAGE ...]\n")
        return 2
    try:
        classifier = Classifier.open(Path(__file__).resolve().parent)
        for prediction in classifier.predict([Path(name) for name in arguments]):
            sys.stdout.write(json.dumps(prediction) + "\n")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
