"""Pictures like emoji, and copies of pictures as they spread: compressed again, scaled."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from selector.data.duplicates import thumbnail
from selector.records import Bytes

Copy = Callable[[Image.Image], Image.Image]
_FINE = 4  # drawn this much larger, for smooth edges


def drawn(seed: int, *, side: int = 64) -> Image.Image:
    """A few random shapes in plain colors on white."""
    generator = np.random.default_rng(seed)
    size = side * _FINE
    image = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(image)
    for _ in range(generator.integers(3, 8)):
        color = tuple(int(each) for each in generator.integers(0, 256, 3))
        x, y = generator.integers(0, size, (2, 2))
        box = (min(x), min(y), max(x) + 9, max(y) + 9)
        match generator.integers(3):
            case 0:
                pen.ellipse(box, fill=color)
            case 1:
                pen.rectangle(box, fill=color)
            case _:
                corners = generator.integers(0, size, (3, 2))
                pen.polygon([tuple(map(int, each)) for each in corners], fill=color)
    return image.resize((side, side), Image.Resampling.LANCZOS)


def compressed(quality: int) -> Copy:
    def copy(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return copy


def scaled(factor: float, how: Image.Resampling = Image.Resampling.BICUBIC) -> Copy:
    def copy(image: Image.Image) -> Image.Image:
        return image.resize([round(each * factor) for each in image.size], how)

    return copy


COPIES: dict[str, Copy] = {
    "JPEG 75": compressed(75),
    "JPEG 90": compressed(90),
    "x 0.5": scaled(0.5),
    "x 0.5, soft": scaled(0.5, Image.Resampling.BILINEAR),
    "x 0.7": scaled(0.7),
    "x 1.3": scaled(1.3),
    "x 2": scaled(2),
}


def thumbnails(images: list[Image.Image]) -> Bytes:
    found = [thumbnail(image) for image in images]
    return np.stack([each for each in found if each is not None])
