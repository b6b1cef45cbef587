"""From a stored candidate to a bundle that passed, or to none."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from selector.cli.app import app
from selector.errors import ConflictError, DataError, InputError, ParityError, UnavailableError
from selector.exporters import bundle
from selector.exporters import export as exporting
from selector.predict import Predictor, load_predictor, open_bundle
from selector.records import ExportedBundle
from selector.reporting.ranking import rank
from selector.run import ignore
from selector.sealed import open_test_split
from selector.store import Store
from tests.exporters.conftest import DIGITS, Place, finish


def corrupt(predictor: Predictor) -> Predictor:
    """The predictor with a normalisation that it was not trained with."""
    wrong = dataclasses.replace(predictor.preprocessing, mean=(0.9, 0.1, 0.5), std=(0.1, 0.9, 0.2))
    return dataclasses.replace(predictor, preprocessing=wrong)


def swap(predictor: Predictor) -> Predictor:
    """The predictor with two of its class names in each other's place."""
    first, second, *others = predictor.class_names
    return dataclasses.replace(predictor, class_names=(second, first, *others))


@pytest.mark.parametrize("damage", [corrupt, swap], ids=["normalisation", "labels"])
def test_wrong_export_fails_the_gate_and_is_set_aside(
    damage: Callable[[Predictor], Predictor],
    toy: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        exporting, "load_predictor", lambda *args, **kwargs: damage(load_predictor(*args, **kwargs))
    )

    with pytest.raises(ParityError, match=r"f1_macro .* as stored") as failed:
        toy.export(output=tmp_path / "wrong")

    assert failed.value.exit_code == 1
    assert len(str(failed.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.failed"]
    parity = json.loads((tmp_path / "wrong.failed" / "parity.json").read_text())
    assert parity["passed"] is False
    assert "**FAILED**" in (tmp_path / "wrong.failed" / "MODEL_CARD.md").read_text()


def test_real_network_passes_as_onnx(real: Place) -> None:
    made = real.export("onnx")
    assert made.parity.passed
    assert made.parity.packages == ("PIL", "numpy", "onnxruntime")


def test_real_network_passes_in_its_own_library(real: Place) -> None:
    made = real.export("safetensors")
    assert made.parity.passed
    assert "torchvision" in made.parity.packages
    assert not {"selector", "timm"} & set(made.parity.packages)


@pytest.mark.fresh
def test_real_network_passes_as_torch_export(real: Place) -> None:
    made = real.export("torch_export")
    assert made.parity.passed
    assert not {"selector", "torchvision", "timm"} & set(made.parity.packages)


def test_image_files_are_read_again_and_the_threshold_is_tuned(
    shapes: Place, shapes_bundle: ExportedBundle
) -> None:
    made = shapes_bundle
    assert made.parity.passed
    assert made.parity.images == 12
    about = json.loads((made.path / "bundle.json").read_text())
    threshold = about["threshold"]
    assert threshold["class"] == "bright"
    assert threshold["tuned_for"] == "f1_binary"
    assert threshold["validation_score"] >= about["metric"]["validation_score"]
    card = (made.path / "MODEL_CARD.md").read_text()
    assert f"from a probability of {threshold['value']:.4f}" in card
    images = sorted((shapes.folder / "images").rglob("*.jpg"))
    for prediction in open_bundle(made.path).predict(images):
        bright = prediction.probabilities["bright"] >= threshold["value"]
        assert prediction.label == ("bright" if bright else "dark")


def test_bundles_own_program_says_the_same(shapes: Place, shapes_bundle: ExportedBundle) -> None:
    made = shapes_bundle
    images = sorted((shapes.folder / "images").rglob("*.jpg"))[::8]

    done = subprocess.run(
        [sys.executable, "-B", made.path / "predict.py", *images],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )

    found = [json.loads(line) for line in done.stdout.splitlines()]
    for own, ours in zip(found, open_bundle(made.path).predict(images), strict=True):
        assert own["path"] == ours.path
        assert own["label"] == ours.label
        assert own["probabilities"] == pytest.approx(ours.probabilities, abs=1e-6)


def test_card_tells_what_a_reader_must_know(bundle_of: Callable[[str], ExportedBundle]) -> None:
    card = (bundle_of("onnx").path / "MODEL_CARD.md").read_text()
    headings = [line[3:] for line in card.splitlines() if line.startswith("## ")]
    assert headings == [
        "Data",
        "Score",
        "Classes",
        "Use",
        "Parity gate",
        "Recipe and hardware",
        "Licences",
        "Limits",
        "Made by",
    ]
    assert "95% interval" in card
    assert "selector export digits --trial 0 --format onnx" in card


def test_card_tells_what_finals_and_the_test_split_found(settings: Path, tmp_path: Path) -> None:
    text = DIGITS.format(backbone="toy:cnn", depth=0, size=8, epochs=1)
    text = text.replace("trials: 1", "trials: 2").replace("lr: 0.003", "lr: [0.003, 0.01]")
    text = text.replace("name: digits", "name: tested") + "finals: {top: 2, seeds: 2}\n"
    place = finish(tmp_path, text, "tested")
    with Store.open(place.store) as store:
        board = rank(store, "tested")
        assert board.finals is not None and board.verdict is not None
        pick = next(f for f in board.finals.finalists if f.trial == board.verdict.trial)
        sealed = (place.export(output=tmp_path / "sealed").path / "MODEL_CARD.md").read_text()
        opening = open_test_split(store, "tested", folder=tmp_path, observe=ignore)
    card = (place.export(output=tmp_path / "opened").path / "MODEL_CARD.md").read_text()

    assert f"mean f1_macro {pick.mean:.4f} over 2 runs, standard deviation {pick.sd:.4f}" in card
    score = next(each for each in opening.scores if each.role == "pick")
    assert "The test split has not been opened" in sealed and "has not been opened" not in card
    assert "also opened" not in card and "after the split had first been opened" not in card
    assert (
        f"f1_macro {score.test_score:.4f}, 95% interval {score.ci_low:.4f} to {score.ci_high:.4f}; "
        f"{score.test_score - score.validation_score:+.4f} against validation" in card
    )


def with_limits(toy: Place, folder: Path, limits: dict[str, object]) -> Place:
    """The toy study in a store of its own, with other limits than it ran with."""
    shutil.copytree(toy.folder, folder / "study", ignore=shutil.ignore_patterns("bundle*"))
    place = Place(folder / "study", toy.study)
    with Store.open(place.store) as store:
        row = store.require_study(toy.study)
        changed = {**row.spec, "limits": {**row.spec["limits"], **limits}}
        store.update_study(dataclasses.replace(row, spec=changed))
    return place


@pytest.mark.parametrize("threads", [1, 2])
def test_latency_is_measured_again_with_the_threads_of_the_limit(
    toy: Place, tmp_path: Path, threads: int
) -> None:
    place = with_limits(toy, tmp_path, {"latency_ms": 0.0001, "threads": threads})
    result = CliRunner().invoke(
        app, ["export", "digits", "--store", place.store, "--output", str(tmp_path / "made")]
    )
    assert result.exit_code == 1
    assert "exceeds the limits of study 'digits': latency_ms" in result.stderr
    assert f"(CPU, {threads} thread" in result.stderr
    card = (tmp_path / "made" / "MODEL_CARD.md").read_text()
    assert "Exceeds the ship limits of the study: latency_ms" in card
    assert json.loads((tmp_path / "made" / "parity.json").read_text())["threads"] == threads


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device of the limit is here")
def test_latency_for_a_device_that_is_not_here_is_said_to_be_unchecked(
    toy: Place, tmp_path: Path
) -> None:
    place = with_limits(toy, tmp_path, {"latency_ms": 0.0001, "device": "cuda"})
    result = CliRunner().invoke(
        app, ["export", "digits", "--store", place.store, "--output", str(tmp_path / "made")]
    )
    assert result.exit_code == 0, result.stderr
    words = "was not checked again on what was exported: it is one for 'cuda', which is not here"
    assert words in " ".join(result.stderr.split())
    card = (tmp_path / "made" / "MODEL_CARD.md").read_text()
    assert words in card.replace("\\", "")


def test_existing_folders_are_kept(toy: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(ConflictError, match="exists already"):
        toy.export(output=other)
    with pytest.raises(ConflictError, match="is no bundle"):
        toy.export(output=other, force=True)
    assert (other / "thesis.txt").exists()


def test_force_replaces_an_earlier_bundle(tmp_path: Path) -> None:
    earlier = tmp_path / "made"
    earlier.mkdir()
    (earlier / "bundle.json").write_text("{}")
    (earlier / "old").touch()

    bundle.refuse_overwriting(earlier, force=True)
    with bundle.new_folder(earlier) as folder:
        (folder / "new").touch()
        bundle.move(folder, earlier)

    assert [path.name for path in tmp_path.rglob("*")] == ["made", "new"]


def test_interrupted_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), bundle.new_folder(tmp_path / "made") as folder:
        (folder / "network.onnx").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_changed_data_cannot_be_checked(shapes: Place, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another folder with --base"):
        shapes.export(output=tmp_path / "b", base=tmp_path)
    added = shapes.folder / "images" / "dark" / "new.jpg"
    added.write_bytes((shapes.folder / "images" / "dark" / "00.jpg").read_bytes() + b"\0")
    try:
        with pytest.raises(ConflictError, match="has changed"):
            shapes.export(output=tmp_path / "b")
    finally:
        added.unlink()
    assert list(tmp_path.iterdir()) == []


def test_threshold_is_for_two_classes(toy: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="for two classes, and study 'digits' has 10"):
        toy.export(output=tmp_path / "b", threshold="tune")


def test_missing_packages_are_named_with_the_extra(
    toy: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selector.exporters import onnx

    monkeypatch.setattr(onnx, "_NEEDED", ("onnx", "no_such_onnx_package"))
    with pytest.raises(
        UnavailableError, match=r"no_such_onnx_package.*selector-finetune\[export\]"
    ):
        toy.export(output=tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_unknown_format_is_an_input_error(toy: Place) -> None:
    with Store.open(toy.store) as store, pytest.raises(InputError, match="Unknown bundle format"):
        exporting.export(store, "digits", exporting.ExportOptions(fmt="pickle"))
