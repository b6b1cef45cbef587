"""The same picture twice in a data set: what becomes of its splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from selector.data import Dataset, inspect
from selector.errors import DataError
from selector.records import DataAudit, SplitName

from .duplicates.pictures import COPIES, drawn
from .files import class_folders, data, listed_images, table


def part_of(dataset: Dataset, sample_id: str) -> SplitName:
    (index,) = [i for i, sample in enumerate(dataset.samples) if sample.id == sample_id]
    names: tuple[SplitName, ...] = ("train", "validation", "test")
    (name,) = [each for each in names if index in getattr(dataset.splits, each)]
    return name


def split_folders(root: Path) -> Path:
    for part, count in (("train", 6), ("val", 3), ("test", 3)):
        class_folders(root / part, {"ant": count, "bee": count})
    return root


def refused(folder: Path, **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        inspect(data(folder, **settings), base=Path())
    return "\n".join(caught.value.problems)


def test_data_without_duplicates_has_nothing_to_tell(flowers: Path) -> None:
    assert inspect(data(flowers), base=Path()).summary.audit == DataAudit(equality_only=24)


@pytest.mark.parametrize("seed", range(8))
def test_copies_are_drawn_into_one_split(flowers: Path, seed: int) -> None:
    names = [f"daisy/copy{number}.png" for number in range(3)]
    for name in names:
        shutil.copy(flowers / "daisy" / "000.png", flowers / name)
    dataset = inspect(data(flowers, split={"seed": seed}), base=Path())
    assert len({part_of(dataset, name) for name in ("daisy/000.png", *names)}) == 1
    (group,) = dataset.summary.audit.copies
    assert group.ids == ("daisy/000.png", *names) and not group.splits_differ


def test_a_picture_saved_again_is_the_same_picture(flowers: Path) -> None:
    image = Image.open(flowers / "daisy" / "000.png")
    image.save(flowers / "daisy" / "again.bmp")
    image.save(flowers / "daisy" / "again.png", compress_level=0)
    (group,) = inspect(data(flowers), base=Path()).summary.audit.copies
    assert group.ids == ("daisy/000.png", "daisy/again.bmp", "daisy/again.png")


def test_a_copy_under_another_label_is_told(flowers: Path) -> None:
    shutil.copy(flowers / "daisy" / "000.png", flowers / "rose" / "copy.png")
    (group,) = inspect(data(flowers), base=Path()).summary.audit.copies
    assert group.labels == ("daisy", "rose") and group.labels_differ


def test_copies_make_a_class_too_small_to_split(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "d", {"ant": 6, "bee": 1})
    for number in range(5):
        shutil.copy(folder / "bee" / "000.png", folder / "bee" / f"copy{number}.png")
    assert "Class 'bee' has 6 images in 1 group to split" in refused(folder)


def test_copies_in_several_given_splits_are_refused(tmp_path: Path) -> None:
    folder = split_folders(tmp_path / "d")
    shutil.copy(folder / "train" / "ant" / "000.png", folder / "test" / "ant" / "leak.png")
    text = refused(folder)
    assert "test/ant/leak.png (test) and train/ant/000.png (train) are the same picture" in text
    assert "data.on_duplicates: move_to_train" in text


def test_copies_in_several_given_splits_can_be_moved_to_train(tmp_path: Path) -> None:
    folder = split_folders(tmp_path / "d")
    clean = inspect(data(folder), base=Path()).summary
    shutil.copy(folder / "train" / "ant" / "000.png", folder / "test" / "ant" / "leak.png")
    shutil.copy(folder / "val" / "bee" / "000.png", folder / "test" / "bee" / "leak.png")
    dataset = inspect(data(folder, on_duplicates="move_to_train"), base=Path())
    moved = ("test/ant/leak.png", "test/bee/leak.png", "val/bee/000.png")
    assert dataset.summary.audit.moved == moved
    assert all(part_of(dataset, name) == "train" for name in moved)
    assert dict(dataset.summary.counts) == {
        "train": clean.counts["train"] + 3,
        "validation": clean.counts["validation"] - 1,
        "test": clean.counts["test"],
    }
    assert not any(group.splits_differ for group in dataset.summary.audit.copies)


def test_a_move_that_empties_a_split_is_refused(tmp_path: Path) -> None:
    folder = split_folders(tmp_path / "d")
    shutil.rmtree(folder / "val")
    shutil.copytree(folder / "test", folder / "val")
    text = refused(folder, on_duplicates="move_to_train")
    assert "Every picture of the validation split is also in another one." in text


def test_a_move_that_takes_the_last_of_a_class_is_refused(tmp_path: Path) -> None:
    folder = split_folders(tmp_path / "d")
    shutil.rmtree(folder / "test" / "ant")
    shutil.copytree(folder / "train" / "ant", folder / "test" / "ant")
    text = refused(folder, on_duplicates="move_to_train")
    assert "Class 'ant' is in train and validation but not in test" in text


def test_copies_and_groups_are_kept_together(tmp_path: Path) -> None:
    rows = listed_images(tmp_path, 15, group=[f"camera {number // 3}" for number in range(30)])
    shutil.copy(tmp_path / "images" / "0.png", tmp_path / "images" / "29.png")
    dataset = inspect(data(table(tmp_path / "list.csv", rows)), base=Path())
    chained = (0, 1, 2, 27, 28, 29)  # cameras 0 and 9 saw the same
    assert len({part_of(dataset, f"images/{number}.png") for number in chained}) == 1


def test_groups_torn_by_given_splits_are_refused(tmp_path: Path) -> None:
    rows = listed_images(
        tmp_path,
        6,
        group=["one camera"] * 2 + [str(number) for number in range(10)],
        split=["train", "test"] * 2 + ["train"] * 4 + ["test", "test", "train", "train"],
    )
    text = refused(table(tmp_path / "list.csv", rows))
    assert "Group 'one camera' is in test and train." in text


def test_near_duplicates_are_listed_and_change_no_split(tmp_path: Path) -> None:
    for number in range(24):
        path = tmp_path / "d" / ("ant", "bee")[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn(number).save(path)
    before = inspect(data(tmp_path / "d"), base=Path())
    assert before.summary.audit == DataAudit()
    COPIES["x 2"](drawn(0)).save(tmp_path / "d" / "ant" / "larger.png")
    COPIES["JPEG 75"](drawn(1)).save(tmp_path / "d" / "ant" / "compressed.png")
    audit = inspect(data(tmp_path / "d"), base=Path()).summary.audit
    assert audit.copies == ()
    first, second = audit.near
    assert first.ids == ("ant/compressed.png", "bee/01.png") and first.labels_differ
    assert second.ids == ("ant/00.png", "ant/larger.png") and not second.labels_differ


def test_digits_are_compared_for_equality_only() -> None:
    audit = inspect(data(source="builtin:digits"), base=Path()).summary.audit
    assert (audit.near, audit.equality_only) == ((), 1797)


def test_planted_copies_of_digits_are_all_found() -> None:
    from selector.data.audit import audit as look
    from selector.data.readers import Listing, load

    listing = load("builtin").read(data(source="builtin:digits"), base=Path())
    twice = listing.keep([*range(100), *range(0, 100, 5)])
    pixels = [verdict.pixels for verdict in look(Listing(twice.samples, twice.images))]
    assert [pixels.index(each) for each in pixels[100:]] == list(range(0, 100, 5))


def test_the_draw_without_duplicates_is_what_it_was() -> None:
    # Stored studies rely on it: their predictions are in the order of this split.
    dataset = inspect(data(source="builtin:digits"), base=Path())
    assert dataset.splits.validation[:8].tolist() == [1, 22, 30, 43, 58, 64, 72, 79]
    assert len(dataset.splits.validation) == 269
