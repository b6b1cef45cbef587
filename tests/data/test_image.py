from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from selector.data import image as image_module
from selector.data import load_image, resize
from selector.data.image import FORMATS
from selector.errors import DataError
from selector.records import Preprocessing

from .files import picture, save_picture


def saved(image: Image.Image, *, format: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format=format, **options)
    file.seek(0)
    return file


def one_color(mode: str, color: object) -> Image.Image:
    return Image.new(mode, (3, 2), color)


@pytest.mark.parametrize("format", FORMATS)
def test_every_known_format_is_read_by_content(format: str, tmp_path: Path) -> None:
    path = tmp_path / "named.jpg"
    path.write_bytes(saved(picture(0), format=format).getvalue())
    image = load_image(path)
    assert (image.mode, image.size) == ("RGB", (12, 9))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (one_color("RGB", (10, 20, 30)), (10, 20, 30)),
        (one_color("L", 77), (77, 77, 77)),
        (one_color("1", 1), (255, 255, 255)),
        (one_color("RGBA", (200, 100, 0, 0)), (255, 255, 255)),
        (one_color("RGBA", (200, 100, 0, 255)), (200, 100, 0)),
        (one_color("LA", (40, 0)), (255, 255, 255)),
        (one_color("LA", (40, 255)), (40, 40, 40)),
        (one_color("I;16", 0x8001), (0x80, 0x80, 0x80)),
        (one_color("I;16", 0xFFFF), (255, 255, 255)),
        (one_color("P", 0).convert("RGB").quantize(4), (0, 0, 0)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode_becomes_rgb(image: Image.Image, expected: tuple[int, int, int]) -> None:
    assert load_image(saved(image)).getpixel((1, 1)) == expected


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    pixel = load_image(saved(one_color("RGBA", (0, 0, 0, 128)))).getpixel((0, 0))
    assert pixel == (127, 127, 127)


def test_a_transparent_palette_color_becomes_white() -> None:
    image = one_color("RGB", (9, 9, 9)).quantize(2)
    assert image.mode == "P"
    color = image.getpixel((0, 0))
    assert load_image(saved(image, transparency=color)).getpixel((0, 0)) == (255, 255, 255)


def test_a_gray_image_with_a_transparent_value_becomes_white_there() -> None:
    image = one_color("L", 50)
    image.putpixel((0, 0), 60)
    loaded = load_image(saved(image, transparency=60))
    assert loaded.getpixel((0, 0)) == (255, 255, 255)
    assert loaded.getpixel((1, 0)) == (50, 50, 50)


def test_print_colors_become_rgb() -> None:
    red, green, blue = load_image(
        saved(one_color("CMYK", (0, 255, 255, 0)), format="TIFF")
    ).getpixel((0, 0))
    assert red > 200 > 60 > max(green, blue)


def test_16_bit_gray_and_16_bit_color_agree() -> None:
    values = np.arange(0, 65536, 257 * 15, dtype=np.uint16)[None, :]
    loaded = np.asarray(load_image(saved(Image.fromarray(values))))
    assert loaded[0, :, 0].tolist() == (values[0] >> 8).tolist()


def test_wide_integers_that_hold_16_bits_are_scaled_and_not_clipped() -> None:
    file = saved(Image.fromarray(np.full((2, 2), 0x4000, dtype=np.int32)), format="TIFF")
    assert load_image(file).getpixel((0, 0)) == (64, 64, 64)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_without_a_fixed_range_are_refused(dtype: type) -> None:
    file = saved(Image.fromarray(np.full((2, 2), 70_000, dtype=dtype)), format="TIFF")
    with pytest.raises(DataError, match=r"no fixed range; save it with 8 or 16 bits"):
        load_image(file, name="scan.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    image = Image.new("RGB", (16, 8), "white")
    image.paste((0, 0, 0), (0, 0, 4, 4))  # a dark corner that wanders
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(saved(image, exif=exif.tobytes()))
    assert loaded.size == ((16, 8) if orientation < 5 else (8, 16))
    right = orientation in (2, 3, 6, 7)
    low = orientation in (3, 4, 7, 8)
    x, y = (loaded.width - 2 if right else 1), (loaded.height - 2 if low else 1)
    assert loaded.getpixel((x, y)) == (0, 0, 0)


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_an_animation_gives_its_first_frame(format: str) -> None:
    frames = [one_color("RGB", color) for color in ("#ff0000", "#0000ff")]
    file = saved(frames[0], format=format, save_all=True, append_images=frames[1:], lossless=True)
    assert load_image(file).getpixel((0, 0)) == (255, 0, 0)


def test_a_text_called_jpg_is_refused_with_the_known_formats(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("this is not an image")
    with pytest.raises(DataError) as caught:
        load_image(path)
    (problem,) = caught.value.problems
    assert str(path) in problem and "JPEG, PNG, WEBP" in problem


def test_a_known_format_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(DataError, match="not an image"):
        load_image(saved(picture(0), format="PPM"), name="a.png")


@pytest.mark.parametrize("format", FORMATS)
def test_a_truncated_file_is_refused(format: str) -> None:
    content = saved(picture(0, size=(64, 64)), format=format).getvalue()
    with pytest.raises(DataError, match=r"a\.img"):
        load_image(io.BytesIO(content[: len(content) // 2]), name="a.img")


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        load_image(tmp_path / "gone.png")


@pytest.mark.parametrize("side", [9_000, 30_000])
def test_a_decompression_bomb_is_refused_from_its_header(side: int) -> None:
    # A valid header that promises many pixels, with no pixels behind it.
    header = side.to_bytes(4) * 2 + bytes((8, 2, 0, 0, 0))
    file = io.BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    PngImagePlugin.putchunk(file, b"IHDR", header)
    PngImagePlugin.putchunk(file, b"IDAT", b"")
    file.seek(0)
    with pytest.raises(DataError, match="more than 64 million pixels"):
        load_image(file, name="bomb.png")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_an_image_or_a_data_error(format: str) -> None:
    content = saved(picture(1, size=(24, 24)), format=format).getvalue()
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for position in generator.integers(0, len(content), 4):
            damaged[position] = generator.integers(256)
        try:
            assert load_image(io.BytesIO(bytes(damaged)), name="x").mode == "RGB"
        except DataError as error:
            assert error.problems[0].startswith("x:")


def test_large_images_are_decoded_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most = 0
    seen = threading.Lock()

    def slowly(opened: Image.Image) -> Image.Image:
        nonlocal at_once, most
        with seen:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with seen:
            at_once -= 1
        return opened.convert("RGB")

    monkeypatch.setattr(image_module, "_to_rgb", slowly)
    content = saved(picture(0, size=(20, 20))).getvalue()
    for limit, expected in ((100, 1), (1000, 4)):
        most = 0
        monkeypatch.setattr(image_module, "_LARGE", limit)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(load_image, [io.BytesIO(content) for _ in range(4)]))
        assert most == expected


def square(size: int, interpolation: str = "bilinear") -> Preprocessing:
    return Preprocessing(size, interpolation, (0, 0, 0), (1, 1, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(40, 30), (30, 40), (8, 8), (3, 200)])
def test_resize_gives_a_square_of_the_wanted_size(
    size: tuple[int, int], interpolation: str
) -> None:
    pixels = resize(picture(0, size=size), square(16, interpolation))
    assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)


def test_resize_keeps_the_center() -> None:
    image = Image.new("RGB", (30, 10), "red")
    image.paste((0, 0, 255), (10, 0, 20, 10))
    pixels = resize(image, square(5))
    assert (pixels[:, 1:-1] == (0, 0, 255)).all()
    assert (pixels[:, ::4, 2] > pixels[:, ::4, 0]).all()  # mixed with what lies beyond the cut


def test_an_image_of_the_wanted_size_is_left_alone() -> None:
    image = picture(3, size=(16, 16))
    assert (resize(image, square(16, "bicubic")) == np.asarray(image)).all()


def test_resize_averages_over_what_it_drops() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = resize(Image.fromarray(stripes), square(8))
    assert abs(pixels.astype(int) - 127).max() <= 6


def test_resize_agrees_with_resizing_the_whole_image_and_cropping() -> None:
    image = Image.fromarray(
        np.kron(np.asarray(picture(5, size=(8, 6))), np.ones((10, 10, 1), np.uint8))
    )
    whole = image.resize((32, 24), Image.Resampling.BILINEAR).crop((4, 0, 28, 24))
    assert abs(resize(image, square(24)).astype(int) - np.asarray(whole)).max() <= 1


def test_reading_a_path_and_reading_a_file_are_the_same(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", 0)
    with path.open("rb") as file:
        assert load_image(file).tobytes() == load_image(path).tobytes()
