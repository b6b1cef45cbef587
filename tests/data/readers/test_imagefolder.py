from __future__ import annotations

import os
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from selector.data import readers
from selector.data.readers import Listing

from ..files import class_folders, data, save_picture


def read(folder: Path) -> Listing:
    return readers.load("imagefolder").read(data(folder), base=Path())


def texts(listing: Listing) -> str:
    return "\n".join(problem.text for problem in listing.problems)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), {"train", "validation", "test"}),
        (("Train", "Valid"), {"train", "validation"}),
        (("training", "testing"), {"train", "test"}),
        (("train", "validation", "test"), {"train", "validation", "test"}),
        (("train",), {"train"}),
    ],
)
def test_split_folders_are_known_by_their_usual_names(
    tmp_path: Path, names: tuple[str, ...], splits: set[str]
) -> None:
    for name in names:
        class_folders(tmp_path / name, {"ant": 2, "bee": 2})
    listing = read(tmp_path)
    assert not listing.problems
    assert Counter(sample.split for sample in listing.samples) == dict.fromkeys(splits, 4)
    assert {sample.label for sample in listing.samples} == {"ant", "bee"}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    listing = read(class_folders(tmp_path / "d", {"bus": 2, "car": 2, "train": 2}))
    assert {sample.label for sample in listing.samples} == {"bus", "car", "train"}
    assert {sample.split for sample in listing.samples} == {None}


def test_ids_are_paths_from_the_root_with_nested_folders(tmp_path: Path) -> None:
    save_picture(tmp_path / "ant" / "2024" / "may" / "1.png", 0)
    (sample,) = read(tmp_path).samples
    assert (sample.id, sample.label) == ("ant/2024/may/1.png", "ant")


def test_upper_case_extensions_are_images(tmp_path: Path) -> None:
    save_picture(tmp_path / "ant" / "1.JPG", 0)
    assert len(read(tmp_path).samples) == 1


def test_two_names_for_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("train", "val", "valid"):
        class_folders(tmp_path / name, {"ant": 2, "bee": 2})
    assert "valid: val is the validation split already" in texts(read(tmp_path))


def test_a_folder_beside_the_splits_is_refused(tmp_path: Path) -> None:
    for name in ("train", "test", "extra"):
        class_folders(tmp_path / name, {"ant": 2, "bee": 2})
    assert "extra: unexpected folder beside test, train" in texts(read(tmp_path))


def test_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    save_picture(tmp_path / "1.png", 0)
    assert "no class folders. Put the images into one folder a class" in texts(read(tmp_path))


def test_a_class_of_other_files_says_how_many(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"ant": 2, "bee": 0})
    (tmp_path / "d" / "bee" / "1.heic").write_text("x")
    listing = read(tmp_path / "d")
    assert "bee: the class folder holds no images, only 1 other files" in texts(listing)
    assert listing.blamed == {"bee"}


def test_accents_are_spelled_alike_on_every_system(tmp_path: Path) -> None:
    for form, split in (("NFC", "train"), ("NFD", "val")):
        save_picture(tmp_path / split / unicodedata.normalize(form, "Käfer") / "1.png", 0)
    assert len({sample.label for sample in read(tmp_path).samples}) == 1


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside = save_picture(tmp_path / "outside.png", 0)
    class_folders(tmp_path / "d", {"ant": 2, "bee": 2})
    (tmp_path / "d" / "ant" / "linked.png").symlink_to(outside)
    listing = read(tmp_path / "d")
    assert "ant/linked.png: the link leads out of the data folder" in texts(listing)
    assert len(listing.samples) == 4


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"ant": 2})
    (tmp_path / "d" / "bee").symlink_to(tmp_path / "d" / "ant", target_is_directory=True)
    listing = read(tmp_path / "d")
    assert not listing.problems
    assert Counter(sample.label for sample in listing.samples) == {"ant": 2, "bee": 2}


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"ant": 2, "bee": 2})
    (tmp_path / "d" / "ant" / "up").symlink_to("..", target_is_directory=True)
    (tmp_path / "d" / "bee" / "self").symlink_to(".", target_is_directory=True)
    text = texts(read(tmp_path / "d"))
    assert "ant/up: the link leads back" in text and "bee/self: the link leads back" in text


def test_a_broken_link_is_refused(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"ant": 2, "bee": 2})
    (tmp_path / "d" / "ant" / "gone.png").symlink_to("nowhere.png")
    assert "ant/gone.png: the link points to" in texts(read(tmp_path / "d"))


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"ant": 2, "bee": 2})
    (tmp_path / "here").symlink_to(tmp_path / "d", target_is_directory=True)
    listing = read(tmp_path / "here")
    assert len(listing.samples) == 4 and not listing.problems


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"ant": 2, "bee": 2})
    picture = (tmp_path / "d" / "ant" / "000.png").read_bytes()
    with open(os.fsencode(tmp_path / "d" / "ant") + b"/\xff.png", "wb") as file:  # noqa: PTH123
        file.write(picture)
    assert "the file's name is not valid UTF-8" in texts(read(tmp_path / "d"))


def test_something_that_is_no_file_is_passed_over(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"ant": 2, "bee": 2})
    os.mkfifo(tmp_path / "d" / "ant" / "pipe.png")
    assert read(tmp_path / "d").skipped == ("ant/pipe.png",)
