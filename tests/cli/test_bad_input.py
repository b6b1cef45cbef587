"""Wrong input: what, where, what is allowed, what to do; exit 2, all at once, nothing stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command

FOLDER_STUDY = """\
name: folder
data: {path: images}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn, image_size: 16}
budget: {trials: 2, epochs: 1}
"""


def _image(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _tree(root: Path, classes: str = "ab", each: int = 8, *, first: int = 0) -> None:
    for c in classes:
        for i in range(each):
            _image(root / c / f"{i}.png", seed=ord(c) * 100 + first + i)


@pytest.fixture
def folder(place: Path) -> Path:
    """A study of an ImageFolder tree of two classes that is right in every way."""
    (place / "study.yaml").write_text(FOLDER_STUDY)
    _tree(place / "images")
    return place


def _lines(selector: Command, place: Path, *arguments: object) -> list[str]:
    """The lines on standard error, of a command that must have refused and left nothing."""
    for command in ("validate", "run"):
        result = selector(command, "study.yaml", *arguments)
        lines: list[str] = [
            line for line in result.stderr.splitlines() if not line.startswith("checking")
        ]
        assert result.exit_code == 2, result.stderr
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        assert all(line.startswith("error: ") for line in lines)
    assert not list(place.glob("selector.db*"))
    assert not (place / "selector-artifacts").exists()
    return lines


def test_the_tree_of_these_tests_is_right(selector: Command, folder: Path) -> None:
    assert selector("validate", "study.yaml").exit_code == 0


def _missing_folder(root: Path) -> None:
    root.rename(root.with_name("pictures"))


def _empty_class(root: Path) -> None:
    (root / "empty").mkdir()


def _class_with_one_image(root: Path) -> None:
    _image(root / "single" / "0.png")


def _class_folders_that_differ(root: Path) -> None:
    for split, classes, first in (("train", "abc", 0), ("validation", "ab", 50)):
        _tree(root / split, classes, first=first)
    for c in "ab":
        for path in (root / c).iterdir():
            path.unlink()
        (root / c).rmdir()


def _truncated_image(root: Path) -> None:
    path = root / "a" / "cut.png"
    _image(path)
    path.write_bytes(path.read_bytes()[:200])


def _text_called_jpg(root: Path) -> None:
    (root / "b" / "letter.jpg").write_text("Dear reader")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_missing_folder, ["images", "does not exist"]),
        (_empty_class, ["empty"]),
        (_class_with_one_image, ["single"]),
        (_class_folders_that_differ, ["c", "validation"]),
        (_truncated_image, ["cut.png"]),
        (_text_called_jpg, ["letter.jpg"]),
    ],
)
def test_bad_data_is_one_clear_line(
    selector: Command, folder: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    spoil(folder / "images")

    lines = _lines(selector, folder)

    assert len(lines) == 1
    assert all(word in lines[0] for word in words)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("search.backbone=toy:cn", ["'cn'", "Did you mean 'cnn'?"]),
        ("search.backbone=timm:resnet19", ["resnet19", "Did you mean 'resnet1"]),
        ("search.backbone=tim:resnet18", ["Unknown backbone source 'tim'", "torchvision"]),
        ("search.lr={log_uniform: [1e-2, 1e-5]}", ["search.lr", "upside down"]),
        ("metric.name=f1_makro", ["metric", "f1_makro", "f1_macro"]),
        ("metric.goal=minimize", ["f1_macro", "maximize"]),
        ("sampler=tpee", ["sampler", "tpee", "Did you mean 'tpe'?"]),
        ("pruner=mediann", ["pruner", "mediann", "Did you mean 'median'?"]),
        ("serch.lr=1", ["serch", "Did you mean 'search'?"]),
        ("budget.trials=0", ["budget.trials"]),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    selector: Command, folder: Path, setting: str, words: list[str]
) -> None:
    lines = _lines(selector, folder, "--set", setting)

    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines[0]


@pytest.mark.parametrize(
    "text", ["- name: a\n- name: b\n", "", "just words\n", "a: [\n", "\t- x\n"]
)
def test_a_file_that_is_no_study_is_one_clear_line(
    selector: Command, folder: Path, text: str
) -> None:
    (folder / "study.yaml").write_text(text)

    assert len(_lines(selector, folder)) == 1


def test_a_missing_study_file_is_one_clear_line(selector: Command, folder: Path) -> None:
    (folder / "study.yaml").unlink()

    assert len(_lines(selector, folder)) == 1


def test_all_mistakes_of_the_file_are_found_in_one_pass(selector: Command, folder: Path) -> None:
    (folder / "study.yaml").write_text(
        FOLDER_STUDY.replace("f1_macro", "f1_makro")
        .replace("image_size: 16", "lr: {log_uniform: [1.0e-2, 1.0e-5]}, image_sice: 16")
        .replace("trials: 2", "trials: 0")
    )

    text = "\n".join(_lines(selector, folder))

    for word in ("f1_makro", "upside down", "image_sice", "budget.trials"):
        assert word in text


def test_all_mistakes_of_data_backbones_and_sampler_are_found_in_one_pass(
    selector: Command, folder: Path
) -> None:
    _empty_class(folder / "images")
    _class_with_one_image(folder / "images")
    _truncated_image(folder / "images")
    _text_called_jpg(folder / "images")

    lines = _lines(
        selector, folder, "--set", "search.backbone=[toy:cn, tim:x]", "--set", "sampler=tpee"
    )

    for word in ("'cn'", "'tim'", "tpee", "empty", "single", "cut.png", "letter.jpg"):
        assert any(word in line for line in lines), (word, lines)


def test_one_class_against_the_rest_can_be_the_metric(selector: Command, folder: Path) -> None:
    _tree(folder / "images", "abc")
    one = "metric={name: f1_binary, goal: maximize, positive_class: c}"
    assert selector("validate", "study.yaml", "--set", one).exit_code == 0

    lines = _lines(selector, folder, "--set", one.replace("class: c", "class: d"))

    assert len(lines) == 1
    assert "metric.positive_class 'd' is no class of the data" in lines[0]
    assert "Classes: a, b, c" in lines[0]


def test_mistakes_of_file_data_and_backbones_are_found_in_one_pass(
    selector: Command, folder: Path
) -> None:
    _empty_class(folder / "images")
    _text_called_jpg(folder / "images")
    (folder / "study.yaml").write_text(
        FOLDER_STUDY.replace("f1_macro", "f1_makro")
        .replace("image_size: 16", "lr: {log_uniform: [1.0e-2, 1.0e-5]}")
        .replace("toy:cnn", "toy:cn")
    )

    lines = _lines(selector, folder)

    for word in ("f1_makro", "upside down", "'cn'", "empty", "letter.jpg"):
        assert sum(word in line for line in lines) == 1, (word, lines)


@pytest.mark.parametrize(
    ("mistake", "members", "words"),
    [
        ("budget: {trials: 0}", "sampler: tpee\npruner: mediann", ["tpee", "mediann"]),
        ("budget: {trials: 0}", "sampler: {name: tpe, startup: 3}", ["no option 'startup'"]),
        ("budget: {trials: 0}", "sampler: grid", ["needs 'steps' for the range 'lr'"]),
        ("seed: x", "pruner: {name: median, warmup: -1}", ["pruner 'median'"]),
    ],
)
def test_wrong_samplers_and_pruners_are_found_beside_other_mistakes(
    selector: Command, folder: Path, mistake: str, members: str, words: list[str]
) -> None:
    text = FOLDER_STUDY.replace("budget: {trials: 2, epochs: 1}", mistake)
    (folder / "study.yaml").write_text(f"{text}{members}\n")

    lines = _lines(selector, folder)

    assert len(lines) == 1 + len(words), lines
    assert all(any(word in line for line in lines) for word in words), lines


def test_a_sampler_is_not_blamed_for_a_space_that_cannot_be_read(
    selector: Command, folder: Path
) -> None:
    text = FOLDER_STUDY.replace("image_size: 16", "image_size: 16, lr: [1.0e-3, fast]")
    (folder / "study.yaml").write_text(f"{text}sampler: {{name: grid, stepz: {{}}}}\n")

    first, second = _lines(selector, folder)

    assert "search.lr" in first
    assert "sampler 'grid' has no option 'stepz'. Did you mean 'steps'?" in second


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["validate"]])
def test_an_artifacts_folder_that_cannot_be_written_to_exits_4_before_anything_is_stored(
    selector: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(folder / "file" / "artifacts"))

    result = selector(*command, "study.yaml")

    assert result.exit_code == 4, result.stderr
    assert "file/artifacts' cannot be written to" in result.stderr
    assert "SELECTOR_ARTIFACTS" in result.stderr
    assert not (folder / "selector.db").exists()


def test_looking_at_the_artifacts_folder_leaves_it_as_it_was(
    selector: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(folder / "deep" / "artifacts"))
    assert selector("validate", "study.yaml").exit_code == 0
    assert not (folder / "deep").exists()

    (folder / "deep" / "artifacts").mkdir(parents=True)
    assert selector("validate", "study.yaml").exit_code == 0
    assert not list((folder / "deep" / "artifacts").iterdir())


def test_missing_weights_without_a_network_exit_4(
    selector: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTOR_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))

    result = selector("run", "study.yaml", "--set", "search.backbone=torchvision:resnet18")

    assert result.exit_code == 4
    assert "resnet18" in result.stderr
    assert ".pth" in result.stderr
    assert not (folder / "selector.db").exists()


def test_an_absent_gpu_exits_4(selector: Command, folder: Path) -> None:
    result = selector("run", "study.yaml", "--set", "device=cuda:99")

    assert result.exit_code == 4
    assert "cuda:99" in result.stderr


def test_a_name_cannot_steer_the_terminal(selector: Command, folder: Path) -> None:
    result = selector("run", "study.yaml", "--set", 'search.backbone="toy:\\e[2Jcnn"')

    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


def test_an_unknown_option_exits_2(selector: Command) -> None:
    assert selector("run", "study.yaml", "--frobnicate").exit_code == 2
    assert selector("report", "tiny", "--format", "xml").exit_code == 2
