"""What `validate` and `run` say of the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from selector.cli.data_findings import finding_lines, warning_lines
from selector.records import AlikePictures, DataAudit, DataSummary
from tests.cli.conftest import Command

STUDY = """\
name: pictures
data: {path: pictures, on_bad_image: skip}
metric: {name: accuracy, goal: maximize}
search: {backbone: toy:cnn, image_size: 16, freeze_depth: 0, batch_size: 8}
budget: {trials: 1, epochs: 1}
"""
SMALLEST = "classes the smallest is ant: 2 train, 1 validation, 1 test images"


def pictures(place: Path) -> Path:
    """Two classes of ten noisy images."""
    for label, seed in (("ant", 0), ("bee", 100)):
        (place / "pictures" / label).mkdir(parents=True)
        for number in range(10):
            generator = np.random.default_rng(seed + number)
            coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            coarse.resize((48, 48)).save(place / "pictures" / label / f"{number}.png")
    (place / "study.yaml").write_text(STUDY)
    return place / "pictures"


def summary(audit: DataAudit) -> DataSummary:
    counts = {"train": 2, "validation": 1, "test": 1}
    return DataSummary(
        fingerprint="0123",
        class_names=("ant", "bee"),
        counts={"train": 5, "validation": 2, "test": 2},
        class_counts={"bee": {"train": 3, "validation": 1, "test": 1}, "ant": counts},  # type: ignore[dict-item]
        validation_ids=(),
        validation_labels=np.zeros(0, np.int64),
        audit=audit,
    )


def test_clean_data_take_four_lines_and_no_warning() -> None:
    assert finding_lines(summary(DataAudit())) == (
        "data    5 train, 2 validation, 2 test images in 2 classes",
        SMALLEST,
        "copies  none",
        "near    none",
    )
    assert warning_lines(DataAudit()) == ()


def test_long_lists_are_cut_and_counted() -> None:
    group = AlikePictures(("a", "b"), ("x", "x"), ("train", "train"))
    lines = finding_lines(summary(DataAudit(near=(group,) * 8)))
    assert "near    16 files in 8 groups" in lines[3]
    assert lines[4:] == (
        *["        a (train) = b (train)"] * 5,
        "        ... and 3 more; --format json lists all",
    )


def test_validate_tells_people_what_the_audit_found(selector: Command, place: Path) -> None:
    folder = pictures(place)
    shutil.copy(folder / "ant" / "0.png", folder / "bee" / "same.png")
    Image.open(folder / "ant" / "1.png").save(folder / "ant" / "1 again.jpg", quality=90)
    (folder / "bee" / "bad\x1b[31m.png").write_text("no image")
    (folder / "bee" / "notes.txt").write_text("as found in the garden")

    result = selector("validate", "study.yaml")

    assert result.exit_code == 0, result.stderr
    assert "images in 2 classes" in result.stderr
    assert "2 files in 1 group show the same picture: 0 in several splits" in result.stderr
    assert "ant/0.png (" in result.stderr and ", bee)" in result.stderr
    assert "ant/1 again.jpg" in result.stderr
    assert "bad     1 image left out" in result.stderr
    assert "bee/bad\\x1b[31m.png: not an image" in result.stderr
    assert "other   1 file passed over, no image by its name" in result.stderr
    assert "\x1b" not in result.stderr
    assert "audit" not in result.stdout


def test_validate_gives_programs_everything(selector: Command, place: Path) -> None:
    folder = pictures(place)
    shutil.copy(folder / "ant" / "0.png", folder / "ant" / "same.png")
    (folder / "bee" / "bad.png").write_text("no image")

    found = json.loads(selector("validate", "study.yaml", "--format", "json").stdout)["data"]

    (copies,) = found["audit"]["copies"]
    assert copies["ids"] == ["ant/0.png", "ant/same.png"]
    assert found["skipped"] == ["bee/bad.png"]
    assert found["audit"]["bad"][0].startswith("bee/bad.png: not an image")
    assert sum(found["class_counts"]["ant"].values()) == 11
    assert len(found["fingerprint"]) == 64


def test_a_run_warns_once_and_stores_the_audit(selector: Command, place: Path) -> None:
    from selector.store import Store

    folder = pictures(place)
    shutil.copy(folder / "ant" / "0.png", folder / "bee" / "same.png")

    result = selector("run", "study.yaml")

    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("audit   1 picture under more than one label") == 1
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        stored = store.study("pictures")
    assert stored is not None
    assert stored.data.audit.copies[0].ids == ("ant/0.png", "bee/same.png")
