from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selector.data import inspect, readers
from selector.errors import DataError

from ..files import data, idx_files, problems_of


@pytest.mark.parametrize("compressed", [False, True])
def test_train_and_test_are_given_and_validation_is_drawn_from_train(
    tmp_path: Path, compressed: bool
) -> None:
    dataset = inspect(data(idx_files(tmp_path, compressed=compressed)), base=Path())
    assert dict(dataset.summary.counts) == {"train": 9, "validation": 3, "test": 6}
    assert dataset.class_names == ("0", "1", "2")
    assert all(dataset.samples[index].id.startswith("test/") for index in dataset.splits.test)


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    listing = readers.load("idx").read(data(idx_files(tmp_path)), base=Path())
    content = (tmp_path / "train-images-idx3-ubyte").read_bytes()[16:]
    pixels = np.asarray(listing.open(1))
    assert pixels.shape == (5, 4, 3)
    assert pixels[..., 1].tobytes() == content[20:40]


def test_class_names_come_from_a_file_beside(tmp_path: Path) -> None:
    idx_files(tmp_path)
    (tmp_path / "labels.txt").write_text("shirt\nbag\ncoat\n")
    listing = readers.load("idx").read(data(tmp_path), base=Path())
    assert [sample.label for sample in listing.samples[:3]] == ["shirt", "bag", "coat"]


def test_too_few_class_names_are_refused(tmp_path: Path) -> None:
    idx_files(tmp_path)
    (tmp_path / "labels.txt").write_text("shirt\nbag\n")
    with pytest.raises(DataError, match="2 different class names for 3 classes"):
        inspect(data(tmp_path), base=Path())


def test_all_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    idx_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    whole = (tmp_path / "train-images-idx3-ubyte").read_bytes()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(whole[:-7])
    (tmp_path / "train-labels-idx1-ubyte").write_text("<html>not found</html>")
    with pytest.raises(DataError) as caught:
        inspect(data(tmp_path), base=Path())
    text = problems_of(caught.value)
    assert "train-images-idx3-ubyte: not a whole IDX file (233 values of 240)" in text
    assert "train-labels-idx1-ubyte: not a whole IDX file (it starts with 3c 68 74 6d)" in text
    assert "t10k-labels-idx1-ubyte (or t10k-labels-idx1-ubyte.gz) is missing" in text


def test_a_cut_off_archive_is_refused(tmp_path: Path) -> None:
    idx_files(tmp_path, compressed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a whole IDX file"):
        inspect(data(tmp_path), base=Path())


def test_a_header_that_asks_for_too_much_is_refused_before_reading(tmp_path: Path) -> None:
    idx_files(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(bytes((0, 0, 8, 3)) + b"\xff" * 12)
    with pytest.raises(DataError, match="its header gives the sizes"):
        inspect(data(tmp_path), base=Path())


def test_counts_that_differ_are_refused(tmp_path: Path) -> None:
    idx_files(tmp_path, train=12)
    labels = (tmp_path / "train-labels-idx1-ubyte").read_bytes()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels[:4] + (11).to_bytes(4) + labels[8:-1])
    with pytest.raises(DataError, match="train: 12 images, but 11 labels"):
        inspect(data(tmp_path), base=Path())
