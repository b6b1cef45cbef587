"""A bundle comes from anywhere: what means harm is refused in one line, and nothing of it runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from selector import consumer
from tests.cli.conftest import Command, invoke
from tests.security.test_pickle import KINDS, planted, trace

__all__ = ["trace"]

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def exported(finished_place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of each format of a finished study. Not to be changed."""
    folder = tmp_path_factory.mktemp("bundles")
    store = f"sqlite:///{finished_place / 'selector.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELECTOR_STORE", store)
        patch.setenv("SELECTOR_ARTIFACTS", str(finished_place / "selector-artifacts"))
        for fmt in consumer.FORMATS:
            options = ("--format", fmt, "--output", folder / fmt)
            result = invoke("export", "tiny", *options)
            assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(params=consumer.FORMATS)
def bundle(request: pytest.FixtureRequest, exported: Path, tmp_path: Path) -> Path:
    """A bundle of each format, to be spoilt."""
    return shutil.copytree(exported / request.param, tmp_path / "bundle")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.new("RGB", (16, 16), (200, 30, 30)).save(path)
    return path


def about(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "bundle.json").read_text())
    return found


def rewrite(bundle: Path, **changes: object) -> None:
    (bundle / "bundle.json").write_text(json.dumps({**about(bundle), **changes}))


def list_again(bundle: Path) -> None:
    """Have bundle.json vouch for the files as they are: whoever means harm does."""
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in bundle.iterdir()
        if path.is_file() and path.name != "bundle.json"
    }
    rewrite(bundle, files=files)


def assert_refused(selector: Command, bundle: Path, image: Path, *words: str) -> None:
    result = selector("predict", bundle, image)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    line = result.stderr.rstrip("\n")
    assert all(word in line for word in words), line
    assert line.isprintable()
    assert len(line) < 1000


def test_a_bundle_as_it_was_written_predicts(selector: Command, bundle: Path, image: Path) -> None:
    assert selector("predict", bundle, image).exit_code == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_in_place_of_the_weights_is_refused(
    kind: str, selector: Command, bundle: Path, image: Path, trace: Path
) -> None:
    file = bundle / about(bundle)["file"]
    file.write_bytes(planted(kind, trace))
    assert_refused(selector, bundle, image, "damaged or changed")
    list_again(bundle)
    assert_refused(selector, bundle, image, file.name, "cannot be opened")


def test_programs_in_the_folder_are_not_run(
    selector: Command, bundle: Path, image: Path, trace: Path
) -> None:
    for name in ("runtime.py", "predict.py", "torch.py", "numpy.py", "sitecustomize.py"):
        (bundle / name).write_text(f"import pathlib; pathlib.Path({str(trace)!r}).touch()\n")
    list_again(bundle)
    assert selector("predict", bundle, image).exit_code == 0


@pytest.mark.parametrize("way", ["..", "absolute", "below", "backslash", "empty", "number"])
def test_a_path_that_leaves_the_folder_is_refused(
    way: str, selector: Command, bundle: Path, image: Path
) -> None:
    file = bundle / about(bundle)["file"]
    outside = Path(shutil.copy(file, bundle.parent / file.name))
    below = bundle / "below"
    below.mkdir()
    shutil.copy(file, below)
    names: dict[str, object] = {
        "..": f"../{outside.name}",
        "absolute": str(outside),
        "below": f"below/{file.name}",
        "backslash": f"..\\{outside.name}",
        "empty": "",
        "number": 3,
    }
    rewrite(bundle, file=names[way])
    assert_refused(selector, bundle, image, "is not as it was written: file")


def test_a_link_out_of_the_folder_is_refused(selector: Command, bundle: Path, image: Path) -> None:
    file = bundle / about(bundle)["file"]
    outside = file.rename(bundle.parent / file.name)
    file.symlink_to(outside)
    assert_refused(selector, bundle, image, "no file of the bundle itself")


HOSTILE = {
    "a number": "7",
    "nothing": "",
    "half": '{"format_version": 1,',
    "bytes": "\x00\x01",
    "a list": "[1]",
    "deep": "[" * 200_000,
    "deep object": '{"format_version":' * 100_000,
    "long": '{"format_version": 1, "class_names": "' + "x" * 17_000_000 + '"}',
    "a number too long": '{"format_version": ' + "9" * 5_000 + "}",
    "another version": '{"format_version": "\\u001b[2J"}',
    "hardly anything": '{"format_version": 1}',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_json_is_refused(
    kind: str, selector: Command, exported: Path, tmp_path: Path, image: Path
) -> None:
    bundle = shutil.copytree(exported / "safetensors", tmp_path / "bundle")
    (bundle / "bundle.json").write_text(HOSTILE[kind])
    assert_refused(selector, bundle, image, "bundle.json")


PREPROCESSING = {"size": 16, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3}
ENTRIES: dict[str, tuple[str, object]] = {
    "no classes": ("class_names", []),
    "classes that are no names": ("class_names", [1, 2]),
    "images that fill the memory": ("preprocessing", {**PREPROCESSING, "size": 10**9}),
    "a size that is none": ("preprocessing", {**PREPROCESSING, "size": True}),
    "pixels that are no numbers": ("preprocessing", {**PREPROCESSING, "mean": ["a", "b", "c"]}),
    "no way to resize": ("preprocessing", {**PREPROCESSING, "interpolation": "eval"}),
    "a threshold for ten": ("threshold", {"class": "0", "value": 0.5}),
    "hashes that are none": ("files", [1]),
    "a format that is none": ("format", ["onnx"]),
    "a study that is none": ("study", None),
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_entries_that_no_bundle_has_are_refused(
    kind: str, selector: Command, exported: Path, tmp_path: Path, image: Path
) -> None:
    bundle = shutil.copytree(exported / "onnx", tmp_path / "bundle")
    key, value = ENTRIES[kind]
    rewrite(bundle, **{key: value})
    assert_refused(selector, bundle, image, "is not as it was written", key)


NETWORKS: dict[str, dict[str, object]] = {
    "a hub": {"library": "timm", "architecture": "hf-hub:evil/network"},
    "a folder": {"library": "timm", "architecture": "local-dir:/tmp/evil"},
    "a file of weights": {"options": {"checkpoint_path": "/tmp/evil.pth"}},
    "a download": {"library": "timm", "architecture": "resnet18", "options": {"pretrained": True}},
    "a path": {"architecture": "toy:../cnn"},
    "other weights": {"options": {"weights": "/tmp/evil.pth"}},
    "a text for a size": {"options": {"image_size": "16"}},
    "no library": {"library": "os", "architecture": "system"},
    "a list": {"architecture": ["cnn"]},
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_that_would_be_fetched_or_read_elsewhere_is_refused(
    kind: str, selector: Command, exported: Path, tmp_path: Path, image: Path
) -> None:
    bundle = shutil.copytree(exported / "safetensors", tmp_path / "bundle")
    rewrite(bundle, network={**about(bundle)["network"], **NETWORKS[kind]})
    assert_refused(selector, bundle, image, "cannot be opened")
