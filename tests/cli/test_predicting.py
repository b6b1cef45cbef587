"""`predict` on image files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from selector.store import Store
from tests.cli.conftest import Command


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with eight digits as PNG files, one of them a level deeper."""
    folder = tmp_path / "images"
    (folder / "deeper").mkdir(parents=True)
    for i, pixels in enumerate(load_digits().images[:8]):
        path = folder / "deeper" / f"{i}.png" if i == 7 else folder / f"{i}.png"
        Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(path)
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_predict_labels_a_folder_of_images(finished: Command, images: Path) -> None:
    result = finished("predict", "tiny", images, "--format", "json")

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert len(document["predictions"]) == 8
    for prediction in document["predictions"]:
        probabilities = prediction["probabilities"]
        assert set(probabilities) == {str(digit) for digit in range(10)}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert prediction["label"] == max(probabilities, key=probabilities.get)


def test_predict_gives_the_probabilities_that_were_stored(
    finished: Command, finished_place: Path, tmp_path: Path
) -> None:
    with Store.open(f"sqlite:///{finished_place / 'selector.db'}") as store:
        study = store.require_study("tiny")
        stored = np.exp(store.log_probabilities("tiny", 0))
    digits = load_digits().images
    paths = []
    for sample_id in study.data.validation_ids:
        number = int("".join(c for c in sample_id.partition("/")[2] if c.isdigit()))
        path = tmp_path / f"{len(paths):03}.png"
        pixels = np.round(digits[number] * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(path)
        paths.append(path)

    result = finished("predict", "tiny", *paths, "--trial", 0, "--format", "json")

    predictions = json.loads(result.stdout)["predictions"]
    found = np.array([list(p["probabilities"].values()) for p in predictions])
    np.testing.assert_allclose(found, stored, atol=2e-2)


@pytest.mark.parametrize("output", ["table", "csv", "md"])
def test_predict_prints_every_format(finished: Command, images: Path, output: str) -> None:
    result = finished("predict", "tiny", images / "0.png", images / "1.png", "--format", output)

    assert result.exit_code == 0, result.stderr
    assert "0.png" in result.stdout
    if output == "csv":
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [row["label"] for row in rows] == [
            max(range(10), key=lambda digit: float(row[f"probability.{digit}"])).__str__()
            for row in rows
        ]


def test_every_missing_path_is_named(finished: Command, images: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    result = finished("predict", "tiny", images, "gone.png", tmp_path / "nowhere", empty)

    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
    assert "gone.png: no such file" in lines[0]


def test_a_file_that_is_no_image_is_one_line(finished: Command, tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("hello")

    result = finished("predict", "tiny", path)

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "text.jpg" in result.stderr


def test_an_unknown_candidate_is_named_with_the_known_ones(finished: Command, images: Path) -> None:
    result = finished("predict", "tiny", images, "--trial", 9)

    assert result.exit_code == 2
    assert "Candidates: 0, 1, 2." in result.stderr


def test_all_files_that_are_no_image_are_named_and_nothing_is_printed(
    finished: Command, images: Path
) -> None:
    (images / "1.png").write_text("hello")
    (images / "deeper" / "7.png").write_bytes((images / "0.png").read_bytes()[:60])

    result = finished("predict", "tiny", images, "--format", "csv")

    assert result.exit_code == 2
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert "1.png" in first
    assert "7.png" in second


def test_what_systems_drop_into_folders_is_passed_over(finished: Command, images: Path) -> None:
    (images / "._0.png").write_bytes(b"resource fork")
    (images / "__MACOSX").mkdir()
    (images / "__MACOSX" / "0.png").write_bytes(b"another")

    result = finished("predict", "tiny", images, "--format", "json")

    assert result.exit_code == 0, result.stderr
    assert len(json.loads(result.stdout)["predictions"]) == 8


def test_prediction_flushes_denormal_numbers_as_training_does(
    finished: Command, images: Path
) -> None:
    assert torch.tensor([1e-40]).mul(1.0).item() > 0

    assert finished("predict", "tiny", images / "0.png").exit_code == 0

    assert torch.tensor([1e-40]).mul(1.0).item() == 0


def test_a_checkpoint_that_was_changed_is_refused(
    selector: Command, place: Path, images: Path
) -> None:
    assert selector("run", "study.yaml", "-q", "--set", "budget.trials=1").exit_code == 0
    (checkpoint,) = (place / "selector-artifacts").rglob("*.safetensors")
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)

    result = selector("predict", "tiny", images / "0.png")

    assert result.exit_code == 4
    assert result.stdout == ""
    assert "It was changed or damaged" in result.stderr


def test_two_stores_that_share_an_artifacts_folder_keep_their_own_checkpoints(
    selector: Command, place: Path, images: Path
) -> None:
    one, two = (f"sqlite:///{place / name}.db" for name in ("one", "two"))
    arguments = ("study.yaml", "-q", "--set", "budget.trials=1")
    selector("run", *arguments, "--store", one)
    before = selector("predict", "tiny", images, "--store", one, "--format", "json").stdout

    selector("run", *arguments, "--store", two, "--set", "seed=2")

    after = selector("predict", "tiny", images, "--store", one, "--format", "json")
    assert after.stdout == before
    other = selector("predict", "tiny", images, "--store", two, "--format", "json")
    assert other.exit_code == 0
    assert other.stdout != before
    names = sorted(p.name for p in (place / "selector-artifacts" / "tiny").iterdir())
    assert [name[: len("trial-0000-")] for name in names] == ["trial-0000-"] * 2
