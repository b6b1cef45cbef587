from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from selector.data.split import SPLITS, split
from selector.errors import DataError
from selector.records import Sample, SplitName, Splits
from selector.spec.schema import SplitSpec

from .files import problems_of


def samples_of(counts: dict[str, int], given: SplitName | None = None) -> list[Sample]:
    prefix = given or "all"
    return [
        Sample(f"{prefix}/{label}/{number}", label, split=given)
        for label, count in counts.items()
        for number in range(count)
    ]


def ids(samples: list[Sample], splits: Splits) -> dict[str, set[str]]:
    return {name: {samples[index].id for index in getattr(splits, name)} for name in SPLITS}


def class_counts(samples: list[Sample], splits: Splits, name: SplitName) -> Counter[str]:
    return Counter(samples[index].label for index in getattr(splits, name))


def test_every_sample_is_in_exactly_one_sorted_split() -> None:
    samples = samples_of({"a": 37, "b": 11, "c": 5})
    splits = split(samples, SplitSpec())
    parts = [getattr(splits, name).tolist() for name in SPLITS]
    assert sorted(itertools.chain(*parts)) == list(range(len(samples)))
    assert all(part == sorted(part) for part in parts)
    assert all(getattr(splits, name).dtype == "int64" for name in SPLITS)


def test_each_class_gives_its_share() -> None:
    samples = samples_of({"a": 200, "b": 40, "c": 3})
    splits = split(samples, SplitSpec(validation=0.2, test=0.1))
    assert class_counts(samples, splits, "validation") == {"a": 40, "b": 8, "c": 1}
    assert class_counts(samples, splits, "test") == {"a": 20, "b": 4, "c": 1}


def test_large_shares_leave_one_sample_of_each_class_to_train_on() -> None:
    samples = samples_of({"a": 3, "b": 4, "c": 5})
    splits = split(samples, SplitSpec(validation=0.5, test=0.45))
    for name in SPLITS:
        assert set(class_counts(samples, splits, name)) == {"a", "b", "c"}


def test_the_draw_depends_on_the_ids_and_not_on_their_order() -> None:
    samples = samples_of({"a": 30, "b": 20})
    shuffled = random.Random(0).sample(samples, len(samples))
    assert ids(samples, split(samples, SplitSpec())) == ids(shuffled, split(shuffled, SplitSpec()))


def test_the_draw_is_the_same_on_every_machine() -> None:
    samples = samples_of({"a": 8, "b": 8})
    drawn = ids(samples, split(samples, SplitSpec(seed=1)))
    assert drawn["validation"] == {"all/a/4", "all/b/5"}


def test_another_seed_draws_otherwise() -> None:
    samples = samples_of({"a": 30, "b": 20})
    first, second = (split(samples, SplitSpec(seed=seed)) for seed in (0, 1))
    assert ids(samples, first) != ids(samples, second)


def test_given_splits_are_kept() -> None:
    samples = [sample for name in SPLITS for sample in samples_of({"a": 2, "b": 2}, name)]
    splits = split(samples, SplitSpec())
    for name in SPLITS:
        assert all(samples[index].split == name for index in getattr(splits, name))
        assert len(getattr(splits, name)) == 4


@pytest.mark.parametrize(("given", "drawn"), [("test", "validation"), ("validation", "test")])
def test_a_missing_split_is_drawn_from_train(given: SplitName, drawn: SplitName) -> None:
    samples = samples_of({"a": 20, "b": 20}, "train") + samples_of({"a": 3, "b": 3}, given)
    splits = split(samples, SplitSpec(validation=0.2, test=0.2))
    assert len(getattr(splits, given)) == 6
    assert class_counts(samples, splits, drawn) == {"a": 4, "b": 4}
    assert all(samples[index].split == "train" for index in getattr(splits, drawn))


def test_a_class_that_is_too_small_is_named_with_its_count() -> None:
    with pytest.raises(DataError) as caught:
        split(samples_of({"a": 9, "b": 1, "c": 2}), SplitSpec())
    first, second = caught.value.problems
    assert "'b' has 1 image to split" in first and "at least 3" in first
    assert "'c' has 2 images to split" in second


def test_with_a_given_test_split_two_images_are_enough() -> None:
    test = samples_of({"a": 1, "b": 1}, "test")
    split(samples_of({"a": 2, "b": 2}, "train") + test, SplitSpec())
    with pytest.raises(DataError, match=r"'b' has 1 image .* at least 2 are needed"):
        split(samples_of({"a": 2, "b": 1}, "train") + test, SplitSpec())


def test_classes_that_differ_between_splits_are_named_with_the_likely_typo() -> None:
    samples = samples_of({"rose": 4, "tulip": 4}, "train") + samples_of(
        {"ruse": 2, "tulip": 2}, "validation"
    )
    with pytest.raises(DataError) as caught:
        split(samples, SplitSpec())
    text = problems_of(caught.value)
    assert "'rose' is in train but not in validation" in text
    assert "'ruse' is in validation but not in train" in text
    assert "Did you mean 'ruse'?" in text and "Did you mean 'rose'?" in text


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "no usable samples"),
        (samples_of({"a": 5}), "only one class, 'a'"),
        (samples_of({"a": 5, "b": 5}, "test"), "No sample is in the train split"),
    ],
    ids=["none", "one class", "no train"],
)
def test_a_data_set_that_cannot_be_split_is_refused(samples: list[Sample], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(samples, SplitSpec())


def test_a_group_given_to_two_splits_is_refused() -> None:
    samples = samples_of({"a": 4, "b": 4}, "train")
    samples += [
        Sample("x", "a", group="p1", split="train"),
        Sample("y", "a", group="p1", split="test"),
        Sample("z", "b", split="test"),
    ]
    with pytest.raises(DataError, match="Group 'p1' is in test and train"):
        split(samples, SplitSpec())
