from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from selector.data.split import SPLITS, split
from selector.errors import DataError
from selector.records import Sample
from selector.spec.schema import SplitSpec


def grouped(sizes: list[int], classes: str, *, seed: int = 0) -> list[Sample]:
    """Groups of the given sizes, each with images of two neighbouring classes."""
    generator = np.random.default_rng(seed)
    samples: list[Sample] = []
    for number, size in enumerate(sizes):
        for _ in range(size):
            label = classes[(number + int(generator.integers(2))) % len(classes)]
            samples.append(Sample(f"{len(samples):04d}", label, group=f"g{number}"))
    return samples


@pytest.mark.parametrize("seed", range(5))
def test_a_group_never_crosses_splits_and_every_class_is_in_each(seed: int) -> None:
    samples = grouped([1, 2, 3, 5, 8, 13] * 5, "abcd", seed=seed)
    splits = split(samples, SplitSpec(seed=seed))
    where: dict[str, set[str]] = defaultdict(set)
    for name in SPLITS:
        members = [samples[index] for index in getattr(splits, name)]
        assert {sample.label for sample in members} == set("abcd")
        for sample in members:
            where[sample.group or ""].add(name)
    assert all(len(names) == 1 for names in where.values())


def test_shares_are_met_closely_where_groups_are_small() -> None:
    samples = grouped([4] * 100, "ab")
    splits = split(samples, SplitSpec(validation=0.2, test=0.2))
    for label, total in Counter(sample.label for sample in samples).items():
        for name in ("validation", "test"):
            count = sum(samples[index].label == label for index in getattr(splits, name))
            assert abs(count - 0.2 * total) <= 4


def test_one_giant_group_goes_to_train() -> None:
    samples = [Sample(f"big{i}", "ab"[i % 2], group="big") for i in range(60)]
    samples += [Sample(f"one{i}", "ab"[i % 2]) for i in range(20)]
    splits = split(samples, SplitSpec())
    assert {samples[index].group for index in splits.validation} == {None}
    assert {samples[index].group for index in splits.test} == {None}


def test_a_class_in_too_few_groups_is_named() -> None:
    samples = [Sample(f"a{i}", "a", group=f"g{i % 2}") for i in range(7)]
    samples += [Sample(f"b{i}", "b") for i in range(9)]
    with pytest.raises(DataError, match=r"'a' has 7 images in 2 groups .* at least 3"):
        split(samples, SplitSpec())


def test_groups_that_cannot_be_spread_are_an_error_and_not_an_empty_class() -> None:
    # Each class is in three of the four groups; no way of giving those to three parts fits all.
    samples = [
        Sample(f"{group}{label}{i}", label, group=group)
        for group, labels in (("g1", "ab"), ("g2", "ac"), ("g3", "bc"), ("g4", "abc"))
        for label in labels
        for i in range(3)
    ]
    with pytest.raises(DataError, match="without tearing a group"):
        split(samples, SplitSpec())


def test_the_draw_does_not_depend_on_the_order_of_grouped_samples() -> None:
    samples = grouped([1, 2, 3, 5] * 8, "abc")
    forward = split(samples, SplitSpec())
    backward = split(samples[::-1], SplitSpec())
    for name in SPLITS:
        there = {samples[index].id for index in getattr(forward, name)}
        assert there == {samples[::-1][index].id for index in getattr(backward, name)}
