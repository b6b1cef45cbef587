from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from selector.data import inspect
from selector.errors import DataError

from .files import class_folders, data, listed_images, problems_of, save_picture, table


def refused(path: Path | None = None, **settings: object) -> list[str]:
    with pytest.raises(DataError) as caught:
        inspect(data(path, **settings), base=Path())
    return list(caught.value.problems)


def test_a_folder_becomes_a_labelled_and_split_data_set(flowers: Path) -> None:
    dataset = inspect(data(flowers), base=Path())
    assert dataset.class_names == ("daisy", "rose", "tulip")
    assert np.bincount(dataset.labels).tolist() == [10, 8, 6]
    assert dict(dataset.summary.counts) == {"train": 16, "validation": 4, "test": 4}
    assert dataset.summary.class_counts["rose"] == {"train": 6, "validation": 1, "test": 1}
    assert [sample.id for sample in dataset.samples] == sorted(
        sample.id for sample in dataset.samples
    )


def test_the_summary_lists_validation_in_the_order_of_the_split(flowers: Path) -> None:
    dataset = inspect(data(flowers), base=Path())
    members = dataset.splits.validation
    assert dataset.summary.validation_ids == tuple(dataset.samples[i].id for i in members)
    assert (dataset.summary.validation_labels == dataset.labels[members]).all()


def test_a_relative_path_starts_at_the_base(flowers: Path) -> None:
    dataset = inspect(data(Path(flowers.name)), base=flowers.parent)
    assert len(dataset.samples) == 24


def test_the_fingerprint_stays_when_the_folder_moves(flowers: Path) -> None:
    before = inspect(data(flowers), base=Path()).summary.fingerprint
    moved = shutil.move(flowers, flowers.with_name("elsewhere"))
    assert inspect(data(Path(moved)), base=Path()).summary.fingerprint == before


def test_the_fingerprint_changes_with_one_pixel_one_name_or_one_label(flowers: Path) -> None:
    def fingerprint() -> str:
        return inspect(data(flowers), base=Path()).summary.fingerprint

    seen = [fingerprint()]
    save_picture(flowers / "rose" / "000.png", 4711)
    seen.append(fingerprint())
    (flowers / "rose" / "001.png").rename(flowers / "rose" / "renamed.png")
    seen.append(fingerprint())
    (flowers / "rose" / "002.png").rename(flowers / "daisy" / "moved.png")
    seen.append(fingerprint())
    assert len(set(seen)) == 4


def test_the_builtin_digits_need_no_files() -> None:
    dataset = inspect(data(source="builtin:digits"), base=Path())
    assert dataset.class_names == tuple("0123456789")
    assert sum(dataset.summary.counts.values()) == 1797


def test_a_limit_takes_a_stratified_part(flowers: Path) -> None:
    dataset = inspect(data(flowers, limit=12), base=Path())
    assert len(dataset.samples) == 12
    assert dataset.class_names == ("daisy", "rose", "tulip")


def test_progress_counts_the_images(flowers: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    inspect(data(flowers), base=Path(), progress=lambda *call: seen.append(call))
    assert seen[-1] == (24, 24, "checking images")


# --- bad input ----------------------------------------------------------------------------------


def test_a_missing_folder_is_named_with_the_likely_one(flowers: Path) -> None:
    (problem,) = refused(flowers.with_name("flower"))
    assert "flower' does not exist" in problem and "Did you mean 'flowers'?" in problem


def test_an_archive_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "flowers.zip").write_bytes(b"PK")
    (problem,) = refused(tmp_path / "flowers.zip")
    assert "folder of images, a .csv or a .parquet" in problem


def test_an_unknown_source_is_refused() -> None:
    (problem,) = refused(source="builtin:digit")
    assert "Did you mean 'builtin:digits'?" in problem


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    problems = refused(tmp_path)
    assert "no class folders" in problems[0]


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(class_folders(tmp_path / "d", {"rose": 5}))
    assert problem == "There is only one class, 'rose'. At least two are needed."


def test_an_empty_class_is_named_once(tmp_path: Path) -> None:
    (problem,) = refused(class_folders(tmp_path / "d", {"rose": 5, "tulip": 5, "daisy": 0}))
    assert problem.startswith("daisy: the class folder holds no images")


def test_a_class_with_one_image_is_named_with_the_number_needed(tmp_path: Path) -> None:
    (problem,) = refused(class_folders(tmp_path / "d", {"rose": 5, "tulip": 1}))
    assert "'tulip' has 1 image" in problem and "at least 3" in problem


def test_class_folders_that_differ_between_splits_are_named(tmp_path: Path) -> None:
    class_folders(tmp_path / "d" / "train", {"daisy": 4, "rose": 4, "tulip": 4})
    class_folders(tmp_path / "d" / "val", {"rose": 2, "tulip": 2, "tullip": 2})
    first, second = refused(tmp_path / "d")
    assert "'daisy' is in train but not in validation" in first
    assert "'tullip' is in validation but not in train" in second
    assert "Did you mean 'tulip'?" in second


def test_bad_images_are_named_by_their_path(flowers: Path) -> None:
    whole = (flowers / "rose" / "000.png").read_bytes()
    (flowers / "rose" / "000.png").write_bytes(whole[: len(whole) // 2])
    (flowers / "tulip" / "000.png").rename(flowers / "tulip" / "000.jpg")
    (flowers / "tulip" / "000.jpg").write_text("a text")
    first, second = refused(flowers)
    assert first.startswith("rose/000.png: the image cannot be decoded")
    assert second.startswith("tulip/000.jpg: not an image")
    assert second.endswith(" To leave out such images: data.on_bad_image: skip.")


def test_all_mistakes_are_found_in_one_pass(flowers: Path, tmp_path: Path) -> None:
    (flowers / "empty").mkdir()
    class_folders(flowers / "single" / "deep", {"single": 1})
    (flowers / "daisy" / "bad.png").write_text("")
    (flowers / "link").symlink_to(tmp_path)
    text = "\n".join(refused(flowers))
    for part in (
        "empty: the class folder",
        "daisy/bad.png: not an image",
        "link: the link leads out of the data folder",
        "'single' has 1 image",
    ):
        assert part in text


def test_many_bad_images_are_counted_after_ten(flowers: Path) -> None:
    for number in range(14):
        (flowers / "rose" / f"bad{number:02d}.jpg").write_text("no")
    problems = refused(flowers)
    assert len(problems) == 12
    assert problems[-1].startswith("All 14 ") and "data-problems.txt" in problems[-1], problems[-1]
    assert problems[-2] == (
        "... and 4 more images that cannot be decoded. "
        "To leave out such images: data.on_bad_image: skip."
    )


def test_bad_images_can_be_skipped_and_are_recorded(flowers: Path) -> None:
    clean = inspect(data(flowers), base=Path()).summary
    (flowers / "rose" / "bad.jpg").write_text("no")
    dataset = inspect(data(flowers, on_bad_image="skip"), base=Path())
    assert dataset.summary.skipped == ("rose/bad.jpg",)
    assert dataset.summary.fingerprint == clean.fingerprint


def test_skipping_that_leaves_too_few_images_is_refused(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "d", {"rose": 5, "tulip": 3})
    (folder / "tulip" / "000.png").write_text("no")
    (problem,) = refused(folder, on_bad_image="skip")
    assert "'tulip' has 2 images" in problem


def test_files_that_are_no_images_are_counted_and_system_junk_is_not(flowers: Path) -> None:
    for name in ("README.txt", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (flowers / "rose" / name).write_text("x")
    assert inspect(data(flowers), base=Path()).summary.skipped == ("rose/README.txt",)


def test_a_listing_with_several_mistakes_names_each(tmp_path: Path) -> None:
    rows = listed_images(tmp_path, 6, split=["train"] * 11 + ["tets"])
    rows[3]["path"] = "images/gone.png"
    (tmp_path / "images" / "4.png").write_text("no image")
    text = "\n".join(refused(table(tmp_path / "list.csv", rows)))
    assert "list.csv:5: no image file 'images/gone.png'" in text
    assert "list.csv:13: unknown split 'tets'" in text and "Did you mean 'test'?" in text
    assert "images/4.png: not an image" in text


def test_a_limit_that_is_too_small_is_refused(flowers: Path) -> None:
    (problem,) = refused(flowers, limit=5)
    assert "data.limit is 5" in problem


def test_the_package_needs_neither_torch_nor_pandas(flowers: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from selector.data import inspect;"
        "from selector.spec.schema import DataSpec;"
        f"inspect(DataSpec(path={str(flowers)!r}), base=Path());"
        "print({'torch', 'pandas', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_problems_read_as_lines(flowers: Path) -> None:
    (flowers / "a").mkdir()
    (flowers / "b").mkdir()
    with pytest.raises(DataError) as caught:
        inspect(data(flowers), base=Path())
    assert str(caught.value) == problems_of(caught.value)
    assert caught.value.exit_code == 2
