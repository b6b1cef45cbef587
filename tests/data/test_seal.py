"""What search and finals get to see of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selector import data
from selector.data.dataset import Dataset
from selector.errors import DataError
from selector.records import Preprocessing
from selector.spec.schema import DataSpec

SMALL = Preprocessing(8, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return data.inspect(DataSpec(source="builtin:digits", limit=200), base=Path())


def test_nothing_leads_to_a_test_sample(digits: Dataset) -> None:
    test_ids = {digits.samples[index].id for index in digits.splits.test}
    open_part = data.without_test(digits)

    assert test_ids and not test_ids & {sample.id for sample in open_part.samples}
    assert len(open_part.splits.test) == 0
    assert len(open_part.samples) == len(digits.samples) - len(test_ids)
    with pytest.raises(IndexError):
        open_part.images.load(len(open_part.samples))


def test_train_and_validation_stay_what_they_were(digits: Dataset, tmp_path: Path) -> None:
    whole = data.decode(digits, SMALL, cache=tmp_path / "whole")
    sealed = data.decode(data.without_test(digits), SMALL, cache=tmp_path / "sealed")

    for split in ("train", "validation"):
        before, after = getattr(whole, split), getattr(sealed, split)
        assert before.sample_ids == after.sample_ids
        assert before.content == after.content  # so caches go on being used
        assert np.array_equal(before.labels, after.labels)
        assert np.array_equal(before.images, after.images)


def test_each_sample_but_those_of_test_validates_in_one_fold(digits: Dataset) -> None:
    folds = data.folds(digits, 4, seed=0)
    ids = [{fold.samples[index].id for index in fold.splits.validation} for fold in folds]

    assert (
        len(set().union(*ids))
        == sum(map(len, ids))
        == len(digits.samples) - len(digits.splits.test)
    )
    assert not set().union(*ids) & {digits.samples[index].id for index in digits.splits.test}
    for fold in folds:
        assert not set(fold.splits.train) & set(fold.splits.validation)
        assert len(np.unique(fold.labels[fold.splits.validation])) == 10


def test_a_group_stays_in_one_fold(tmp_path: Path) -> None:
    lines = ["path,label,group"]
    from PIL import Image

    for number in range(40):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},g{number // 2 % 10}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    dataset = data.inspect(DataSpec(path="list.csv"), base=tmp_path)

    for fold in data.folds(dataset, 3, seed=0):
        groups = [
            {fold.samples[index].group for index in part}
            for part in (fold.splits.train, fold.splits.validation)
        ]
        assert not groups[0] & groups[1]


def test_more_folds_than_images_of_a_class_are_refused(digits: Dataset) -> None:
    with pytest.raises(DataError, match=r"finals.folds is 20.*of '0' \(\d+\).*or to none"):
        data.folds(digits, 20, seed=0)
