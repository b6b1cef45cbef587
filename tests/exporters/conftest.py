"""Finished studies to export from, and the bundles made of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import selector
from selector.exporters.export import ExportOptions, _reference, _source, export
from selector.exporters.gate import Reference
from selector.records import ExportedBundle
from selector.store import Store

DIGITS = """\
name: digits
data: {{source: "builtin:digits", limit: 200}}
metric: {{name: f1_macro, goal: maximize}}
search: {{backbone: "{backbone}", lr: 0.003, freeze_depth: {depth}, image_size: {size}}}
pruner: none
funnel: off
budget: {{trials: 1, epochs: {epochs}}}
seed: 1
"""
FILES = """\
name: shapes
data: {path: images}
metric: {name: f1_binary, goal: maximize, positive_class: bright}
search: {backbone: "toy:cnn", lr: 0.003, freeze_depth: 0, batch_size: 16, image_size: 16}
pruner: none
funnel: off
threshold: tune
budget: {trials: 1, epochs: 1}
seed: 1
"""


@dataclass(frozen=True)
class Place:
    """A folder in which a study has run."""

    folder: Path
    study: str

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder / 'selector.db'}"

    def export(self, fmt: str = "onnx", **options: object) -> ExportedBundle:
        given = {"fmt": fmt, "output": self.folder / f"bundle-{fmt}", **options}
        with Store.open(self.store) as store:
            return export(store, self.study, ExportOptions(**given))

    def reference(self) -> Reference:
        """What the gate compares with."""
        with Store.open(self.store) as store:
            return _reference(store, _source(store, self.study, ExportOptions()))


def finish(folder: Path, text: str, name: str) -> Place:
    """Run a study in a folder of its own."""
    (folder / "study.yaml").write_text(text)
    place = Place(folder, name)
    selector.run(folder / "study.yaml", store=place.store)
    return place


def draw(folder: Path) -> None:
    """Gray and bright pictures as JPEG files with an EXIF orientation, some hard to tell apart."""
    generator = np.random.default_rng(0)
    for name, level in (("bright", 140), ("dark", 110)):
        (folder / name).mkdir(parents=True)
        for number in range(40):
            pixels = generator.normal(level, 25, (24, 30, 3)) + generator.normal(0, 25)
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            exif = Image.Exif()
            exif[0x0112] = 1 + number % 8
            image.save(folder / name / f"{number:02}.jpg", exif=exif)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache and an artifacts folder for all studies of this session."""
    folder = tmp_path_factory.mktemp("settings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELECTOR_CACHE", str(folder / "cache"))
        patch.setenv("SELECTOR_ARTIFACTS", str(folder / "artifacts"))
        yield folder


@pytest.fixture(scope="session")
def toy(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A study of digits that live in memory, with the tiny backbone."""
    text = DIGITS.format(backbone="toy:cnn", depth=2, size=16, epochs=3)
    return finish(tmp_path_factory.mktemp("toy"), text, "digits")


@pytest.fixture(scope="session")
def real(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A study of the same digits with MobileNetV2."""
    text = DIGITS.format(backbone="bundled:mobilenet_v2", depth=5, size=32, epochs=2)
    text = text.replace("name: digits", "name: real")
    return finish(tmp_path_factory.mktemp("real"), text, "real")


@pytest.fixture(scope="session")
def shapes(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A study of two classes of image files, whose threshold is tuned."""
    folder = tmp_path_factory.mktemp("shapes")
    draw(folder / "images")
    return finish(folder, FILES, "shapes")


@pytest.fixture(scope="session")
def shapes_bundle(shapes: Place) -> ExportedBundle:
    """That study's bundle. Not to be changed."""
    return shapes.export()


@pytest.fixture(scope="session")
def bundle_of(toy: Place) -> Callable[[str], ExportedBundle]:
    """The toy study's bundle of a format, exported once."""
    made: dict[str, ExportedBundle] = {}

    def bundle(fmt: str) -> ExportedBundle:
        if fmt not in made:
            made[fmt] = toy.export(fmt)
        return made[fmt]

    return bundle
