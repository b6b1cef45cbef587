"""Whether a network was trained on a sample is told by its picture and its group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from selector.data import Dataset, all_marks, image_statistics, inspect, marks_of
from selector.spec.schema import DataSpec
from tests.garden import SPRING, grow


def read(path: Path, **options: object) -> Dataset:
    return inspect(DataSpec(path=str(path), **options), base=path.parent)  # type: ignore[arg-type]


def test_a_picture_is_known_again_under_another_name_and_in_another_format(tmp_path: Path) -> None:
    grow(tmp_path / "images", SPRING, 10, seed=1)
    before = all_marks(read(tmp_path / "images"), "train")
    for number, path in enumerate(sorted((tmp_path / "images").rglob("*.png"))):
        Image.open(path).save(path.with_name(f"renamed {number}.bmp"))
        path.unlink()
    after = read(tmp_path / "images")
    everything = {
        mark for split in ("train", "validation", "test") for mark in all_marks(after, split)
    }
    assert before <= everything
    assert len(before) == len(read(tmp_path / "images").splits.train)


def test_another_picture_under_a_known_name_is_new(tmp_path: Path) -> None:
    grow(tmp_path / "images", SPRING, 10, seed=1)
    before = all_marks(read(tmp_path / "images"), "train")
    noise = np.random.default_rng(5)
    for path in sorted((tmp_path / "images").rglob("*.png")):
        Image.fromarray(noise.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
    after = read(tmp_path / "images")
    assert before.isdisjoint(all_marks(after, "train") | all_marks(after, "validation"))


def test_pictures_of_one_group_share_a_mark(tmp_path: Path) -> None:
    grow(tmp_path / "images", SPRING, 12, seed=1)
    rows = ["path,label,group"]
    for name in SPRING:
        rows += [f"images/{name}/1-{n}.png,{name},plant {name} {n // 2}" for n in range(12)]
    (tmp_path / "flowers.csv").write_text("\n".join(rows))
    marks = marks_of(read(tmp_path / "flowers.csv"), "train")
    groups = {mark for each in marks for mark in each if mark.startswith("group plant")}
    assert all(len(each) == 2 for each in marks)
    assert len(groups) == len(marks) / 2


def test_statistics_of_images_are_those_of_the_files_and_not_of_what_is_made_of_them(
    tmp_path: Path,
) -> None:
    for name, value in (("dark", 51), ("bright", 102)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.full((30, 40, 3), (value, 0, 255), dtype=np.uint8)
            pixels[0, 0] = number  # no two pictures are the same
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    found = image_statistics(read(tmp_path / "images"), most=16)
    assert (found.images, found.width, found.height) == (16, 40, 30)
    assert np.allclose(found.mean, (0.3, 0, 1), atol=0.02)
    assert np.allclose(found.sd, (0.1, 0, 0), atol=0.05)
