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


def _tree(root: Path, classes: str = "ab", each: int = 8) -> None:
    for c in classes:
        for i in range(each):
            _image(root / c / f"{i}.png", seed=ord(c) * 100 + i)


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
    for split, classes in (("train", "abc"), ("validation", "ab")):
        _tree(root / split, classes)
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

    assert all(word in lines[0] for word in words)
    hints = [line for line in lines[1:] if "on_bad_image" in line]
    assert lines[1:] == hints


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
