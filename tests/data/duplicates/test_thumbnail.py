from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selector.data import load_image
from selector.data.duplicates import SMALLEST, look_alikes, thumbnail

from .pictures import COPIES, compressed, drawn, thumbnails

EMOJI = Path(__file__).parents[3] / "data" / "emoji"


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Three hundred pictures of 64 x 64, like emoji."""
    return [drawn(seed) for seed in range(300)]


@pytest.fixture(scope="module")
def emoji() -> list[Image.Image]:
    """The real ones, without those that are the very same picture."""
    if not EMOJI.is_dir():
        pytest.skip("data/emoji is not there: python studies/fetch_emoji.py")
    images = [load_image(path) for path in sorted(EMOJI.rglob("*.png"))]
    return list({image.tobytes(): image for image in images}.values())


def found(originals: list[Image.Image], copies: list[Image.Image]) -> float:
    """The share of copies that are in one group with their original."""
    groups = look_alikes(thumbnails([*originals, *copies]))
    first, second = groups[: len(originals)], groups[len(originals) :]
    return float(np.mean((first == second) & (first >= 0)))


def flagged(originals: list[Image.Image]) -> float:
    return float(np.mean(look_alikes(thumbnails(originals)) >= 0))


@pytest.mark.parametrize("kind", COPIES)
def test_copies_of_drawn_pictures_are_found(kind: str, pictures: list[Image.Image]) -> None:
    assert found(pictures, [COPIES[kind](image) for image in pictures]) >= 0.95


def test_drawn_pictures_are_not_taken_for_each_other(pictures: list[Image.Image]) -> None:
    assert flagged(pictures) <= 0.01


@pytest.mark.parametrize("kind", COPIES)
def test_copies_of_emoji_are_found(kind: str, emoji: list[Image.Image]) -> None:
    assert found(emoji, [COPIES[kind](image) for image in emoji]) >= 0.95


def test_emoji_are_not_taken_for_each_other(emoji: list[Image.Image]) -> None:
    assert flagged(emoji) <= 0.01


def test_another_color_makes_another_picture() -> None:
    hearts = []
    for color in ((220, 30, 40), (40, 120, 220)):
        image = Image.new("RGB", (64, 64), "white")
        image.paste(color, (16, 16, 48, 48))
        hearts.append(image)
    # Brightness alone would not do: that of both is much the same.
    assert look_alikes(thumbnails(hearts)).tolist() == [-1, -1]


def test_brightness_tells_pictures_apart() -> None:
    image = drawn(1)
    darker = image.point(lambda value: value * 0.8)
    assert look_alikes(thumbnails([image, darker])).tolist() == [-1, -1]


def test_pictures_of_one_color_are_not_compared() -> None:
    plain = [Image.new("RGB", (64, 64), color) for color in ("white", "white", "red")]
    jpeg = compressed(75)(Image.new("RGB", (64, 64), (250, 250, 250)))
    assert look_alikes(thumbnails([*plain, jpeg, drawn(0)])).tolist() == [-2, -2, -2, -2, -1]


def test_small_pictures_have_no_thumbnail() -> None:
    assert thumbnail(Image.new("RGB", (SMALLEST - 1, 500))) is None
    kept = thumbnail(Image.new("RGB", (SMALLEST, 500)))
    assert kept is not None and kept.shape == (16, 16, 3)


def test_no_picture_is_no_group() -> None:
    assert look_alikes(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0,)
