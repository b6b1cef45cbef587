from __future__ import annotations

from collections import Counter

import pytest

from selector.data.limit import subsample
from selector.data.split import split
from selector.errors import DataError
from selector.records import Sample
from selector.spec.schema import SplitSpec

SAMPLES = [
    Sample(f"{label}{number}", label)
    for label, count in (("a", 100), ("b", 50), ("c", 4))
    for number in range(count)
]


def test_classes_keep_their_proportions_and_enough_to_be_split() -> None:
    chosen = [SAMPLES[index] for index in subsample(SAMPLES, 40, seed=0)]
    counts = Counter(sample.label for sample in chosen)
    assert counts.total() == 40 and counts["c"] >= 3
    assert 1.5 < counts["a"] / counts["b"] < 2.5
    split(chosen, SplitSpec())


def test_the_choice_depends_on_ids_and_seed_only() -> None:
    chosen = {SAMPLES[index].id for index in subsample(SAMPLES, 30, seed=0)}
    backward = SAMPLES[::-1]
    assert chosen == {backward[index].id for index in subsample(backward, 30, seed=0)}
    assert chosen != {SAMPLES[index].id for index in subsample(SAMPLES, 30, seed=1)}


def test_a_limit_beyond_the_data_keeps_everything() -> None:
    assert subsample(SAMPLES, 1000, seed=0) == list(range(len(SAMPLES)))


def test_given_splits_are_thinned_alike() -> None:
    samples = [
        Sample(f"{name}{label}{number}", label, split=name)
        for name, count in (("train", 60), ("test", 20))
        for label in "ab"
        for number in range(count)
    ]
    chosen = [samples[index] for index in subsample(samples, 40, seed=0)]
    counts = Counter((sample.split, sample.label) for sample in chosen)
    assert set(counts) == {(name, label) for name in ("train", "test") for label in "ab"}
    assert abs(counts["train", "a"] - 15) <= 1


def test_a_class_keeps_different_groups() -> None:
    samples = [Sample(f"x{number}", "x", group=f"g{number % 4}") for number in range(400)]
    samples += [Sample(f"y{number}", "y") for number in range(400)]
    chosen = [samples[index] for index in subsample(samples, 9, seed=0)]
    assert len({sample.group for sample in chosen if sample.label == "x"}) >= 3


def test_a_limit_that_is_too_small_names_the_least_that_works() -> None:
    with pytest.raises(DataError, match=r"data.limit is 8, .* at least 9 samples"):
        subsample(SAMPLES, 8, seed=0)
