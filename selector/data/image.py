"""The one way from an image file to RGB pixels, and from there to a square of one size."""

from __future__ import annotations

import struct
import threading
import zlib
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from selector.errors import DataError
from selector.records import Bytes, Preprocessing

DECODER_VERSION = 1  # raise it with any change that changes decoded pixels
MAX_PIXELS = 64_000_000
_LARGE = 24_000_000  # pixels: beyond cameras in common use; each takes some 10 bytes
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
)

_one_by_one = threading.Lock()
_JUNK = frozenset(("thumbs.db", "desktop.ini", "__macosx"))  # and everything that starts with a dot
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# What Pillow's parsers raise on damaged bytes, besides their own UnidentifiedImageError.
_DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def load_image(source: Path | str | BinaryIO, *, name: str | None = None) -> Image.Image:
    """The image as RGB, turned upright by its EXIF orientation.

    Transparent pixels are laid on white, 16-bit values are scaled to 8 bits, of an animation the
    first frame is taken. `name` stands for the file in messages. DataError if the content is not
    of a known format (whatever the file is called), is damaged or cut short, or is larger than
    64 million pixels.
    """
    shown = name or str(source)
    try:
        with Image.open(source, formats=FORMATS) as image:
            _check_size(image, shown)
            with _turn(image):
                return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        legal = ", ".join(FORMATS)
        raise DataError(
            [f"{shown}: not an image. Known formats: {legal}. Replace or remove it."]
        ) from error
    except _BOMBS as error:
        raise DataError([_too_large(shown, "")]) from error
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise DataError(
            [f"{shown}: the image cannot be decoded ({reason}). Replace or remove it."]
        ) from error


def is_junk(name: str) -> bool:
    """Whether systems drop a file or folder of this name by themselves."""
    return name.startswith(".") or name.lower() in _JUNK


def resize(image: Image.Image, preprocessing: Preprocessing) -> Bytes:
    """Pixels (size, size, 3) uint8: shorter side of an RGB image to `size`, centre square kept.

    What lies outside the square is not computed: a strip of 1 x 60000 pixels would else grow to
    gigabytes on its way to 224 x 224.
    """
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    size = (preprocessing.size, preprocessing.size)
    resampling = _RESAMPLING[preprocessing.interpolation]
    return np.array(image.resize(size, resampling, box=(left, top, left + side, top + side)))


def _check_size(image: Image.Image, shown: str) -> None:
    # Only the header has been read here, so a bomb costs nothing.
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError([_too_large(shown, f" ({width} x {height})")])


def _turn(image: Image.Image) -> AbstractContextManager[object]:
    """Large images are decoded one after the other: as many at once as there are cores is a lot."""
    return _one_by_one if image.width * image.height > _LARGE else nullcontext()


def _too_large(shown: str, size: str) -> str:
    limit = MAX_PIXELS // 1_000_000
    return f"{shown}: the image{size} has more than {limit} million pixels. Scale it down."


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bits(np.asarray(image)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image.convert("RGB")


def _from_16_bits(values: np.ndarray[tuple[int, ...], np.dtype[np.integer]]) -> Image.Image:
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("32-bit pixels have no fixed range; save it with 8 or 16 bits")
    # The high byte, as Pillow itself reads 16-bit colour; `convert` would clip instead.
    return Image.fromarray((values >> 8).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")
