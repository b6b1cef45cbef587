"""`export`, and `predict` on what it made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selector.exporters import gate
from tests.cli.conftest import Command, invoke


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A picture with a digit's size."""
    path = tmp_path / "digit.png"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def bundle(finished_place: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle made by the command. Not to be changed."""
    output = tmp_path_factory.mktemp("bundles") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished_place)
        patch.setenv("SELECTOR_CACHE", str(cache))
        result = invoke("export", "tiny", "--format", "onnx", "--output", output)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{output}\n"
    assert "Parity gate passed: f1_macro" in result.stderr
    return output


def test_bundle_predicts_without_a_store(
    bundle: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SELECTOR_STORE", raising=False)

    result = invoke("predict", bundle, image, "--format", "json")

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["study"] == "tiny"
    assert document["trial"] == json.loads((bundle / "bundle.json").read_text())["trial"]
    assert sum(document["predictions"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert not (tmp_path / "selector.db").exists()


@pytest.mark.parametrize("output", ["table", "csv", "md"])
def test_bundle_predicts_in_every_format(bundle: Path, image: Path, output: str) -> None:
    result = invoke("predict", bundle, image, "--format", output)
    assert result.exit_code == 0, result.stderr
    assert "digit.png" in result.stdout


def test_study_and_bundle_agree(finished: Command, bundle: Path, image: Path) -> None:
    ours, theirs = (
        json.loads(finished("predict", source, image, "--format", "json").stdout)
        for source in ("tiny", bundle)
    )
    assert ours["trial"] == theirs["trial"]
    one, other = (found["predictions"][0]["probabilities"] for found in (ours, theirs))
    assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--trial", 1), "holds one trial"), (("--device", "cuda"), "on the CPU")],
)
def test_options_of_a_study_are_refused_with_a_bundle(
    bundle: Path, image: Path, options: tuple[object, ...], message: str
) -> None:
    result = invoke("predict", bundle, image, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_damaged_bundle_is_one_line(bundle: Path, image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in bundle.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes()[:10_000])
    result = invoke("predict", folder, image)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "network.onnx: its sha256 is" in result.stderr


def test_existing_bundle_is_a_conflict(finished: Command, bundle: Path) -> None:
    result = finished("export", "tiny", "--format", "onnx", "--output", bundle)
    assert result.exit_code == 3
    assert "--force" in result.stderr


def test_failed_gate_is_exit_code_1_and_one_line(
    finished: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No bound is met by a difference of nothing.
    monkeypatch.setattr(gate, "EXACT_PROBABILITY", -1.0)

    result = finished("export", "tiny", "--format", "onnx", "--output", tmp_path / "bundle")

    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = (text for text in result.stderr.splitlines() if text.startswith("error: "))
    assert "does not pass the parity gate" in line
    assert (tmp_path / "bundle.failed").is_dir()
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("value", ["high", "0", "1.5", "nan"])
def test_threshold_is_a_probability(finished: Command, value: str) -> None:
    result = finished("export", "tiny", "--threshold", value)
    assert result.exit_code == 2
    assert f"--threshold '{value}'" in result.stderr


def test_study_without_a_candidate_of_that_number(finished: Command) -> None:
    result = finished("export", "tiny", "--trial", 9)
    assert result.exit_code == 2
    assert "Candidates: 0, 1, 2." in result.stderr


def test_a_threshold_is_tuned_for_two_classes_only(selector: Command) -> None:
    result = selector("validate", "study.yaml", "--set", "threshold=tune")
    assert result.exit_code == 2
    assert "threshold: tune is for two classes, and the data has 10" in result.stderr


def test_an_export_over_the_limits_is_complete_and_exits_1(
    selector: Command, place: Path, cache: Path
) -> None:
    # The weights alone fit; the exported file has a graph and preprocessing besides.
    weights = selector("run", "study.yaml", "-q", "--set", "budget.trials=1")
    assert weights.exit_code == 0, weights.stderr
    made = selector("export", "tiny", "--format", "onnx", "--output", "free")
    assert made.exit_code == 0, made.stderr
    size = json.loads((place / "free" / "parity.json").read_text())["file_bytes"] / 1e6
    limit = ("--set", f"limits.size_mb={size * 0.99}", "--set", "name=limited")
    ran = selector("run", "study.yaml", "-q", "--set", "budget.trials=1", *limit)
    assert ran.exit_code == 0, ran.stderr

    result = selector("export", "limited", "--format", "onnx", "--output", "limited-bundle")

    assert result.exit_code == 1
    assert result.stdout == "limited-bundle\n"
    assert "exceeds the limits of study 'limited': size_mb" in result.stderr
    assert (place / "limited-bundle" / "parity.json").exists()
