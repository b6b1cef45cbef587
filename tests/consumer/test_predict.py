"""What travels in a bundle reads images exactly as training does, and stands alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selector import consumer, data
from selector.consumer.predict import Classifier, prepare
from selector.records import Preprocessing

GENERATOR = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return GENERATOR.integers(0, 256, shape, dtype=np.uint8)


def gallery() -> dict[str, tuple[Image.Image, str]]:
    """Every kind of image that a camera, a scanner or a drawing program makes."""
    palette = Image.fromarray(noise(9, 14, 3)).convert("P")
    palette.info["transparency"] = 3
    return {
        "landscape": (Image.fromarray(noise(20, 33, 3)), "png"),
        "strip": (Image.fromarray(noise(3, 90, 3)), "png"),
        "photo": (Image.fromarray(noise(41, 30, 3)), "jpg"),
        "print": (Image.fromarray(noise(20, 20, 4), mode="CMYK"), "jpg"),
        "transparent": (Image.fromarray(noise(15, 18, 4)), "png"),
        "gray": (Image.fromarray(noise(17, 11)), "png"),
        "gray with alpha": (Image.fromarray(noise(12, 12, 2)), "png"),
        "16 bits": (Image.fromarray(noise(16, 19).astype(np.uint16) * 257), "png"),
        "one bit": (Image.fromarray(noise(13, 16) > 99), "png"),
        "palette": (palette, "png"),
        "animation": (Image.fromarray(noise(10, 12)), "gif"),
    }


@pytest.mark.parametrize("kind", gallery())
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_images_are_read_as_in_training(kind: str, interpolation: str, tmp_path: Path) -> None:
    image, suffix = gallery()[kind]
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    how = Preprocessing(16, interpolation, (0.5,) * 3, (0.5,) * 3)

    found = prepare(path, {"size": 16, "interpolation": interpolation})

    np.testing.assert_array_equal(found, data.resize(data.load_image(path), how))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_as_in_training(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise(24, 40, 3)).save(path, exif=exif)
    how = Preprocessing(16, "bicubic", (0.5,) * 3, (0.5,) * 3)

    found = prepare(path, {"size": 16, "interpolation": "bicubic"})

    np.testing.assert_array_equal(found, data.resize(data.load_image(path), how))


@pytest.mark.parametrize(
    ("value", "probability", "label"),
    [(0.5, 0.6, "yes"), (0.5, 0.4, "no"), (0.7, 0.6, "no"), (0.7, 0.7, "yes")],
)
def test_threshold_decides_between_two_classes(
    value: float, probability: float, label: str
) -> None:
    about = {"class_names": ["no", "yes"], "threshold": {"class": "yes", "value": value}}
    classifier = Classifier(about, network=np.asarray)
    assert classifier.label({"no": 1 - probability, "yes": probability}) == label


@pytest.mark.parametrize("file", [consumer.PROGRAM, *map(consumer.runtime_file, consumer.FORMATS)])
def test_programs_import_nothing_of_this_package(file: Path, tmp_path: Path) -> None:
    probe = (
        "import runpy, sys\n"
        f"runpy.run_path({str(file)!r})\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'selector']\n"
    )
    if file.name in ("predict.py", "onnx.py"):
        probe += "assert 'torch' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", probe], check=True, cwd=tmp_path)


def test_program_without_arguments_says_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, consumer.PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
