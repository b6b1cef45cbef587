from __future__ import annotations

import time

import numpy as np
import pytest

from selector.data.duplicates import search, similar

TOLERANCE = 0.01


def vectors(count: int, *, planted: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random rows of very different lengths; the last `planted` are noisy copies of the first."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, 48)) * generator.lognormal(3, 1, (count, 1))
    noise = generator.normal(size=(planted, 48)) * 0.05
    rows[count - planted :] = rows[:planted] * (1 + noise)
    rows = rows.astype(np.float32)
    return rows, np.square(rows).sum(axis=1)


def plainly(rows: np.ndarray, energies: np.ndarray) -> list[int]:
    """The reference: every pair looked at, groups joined one by one."""
    exact = rows.astype(np.float64)
    group = list(range(len(rows)))
    for i in range(len(rows)):
        for j in range(i):
            near = ((exact[i] - exact[j]) ** 2).sum() <= TOLERANCE * (energies[i] + energies[j])
            if near and group[i] != group[j]:
                old, new = group[i], group[j]
                group = [new if each == old else each for each in group]
    numbers: dict[int, int] = {}
    return [
        numbers.setdefault(each, len(numbers)) if group.count(each) > 1 else -1 for each in group
    ]


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_those_of_looking_at_every_pair(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_BLOCK", 16)
    monkeypatch.setattr(search, "_DIRECTIONS", 5)
    rows, energies = vectors(130, planted=40, seed=seed)
    expected = plainly(rows, energies)
    assert max(expected) > 20
    assert similar(rows, energies, tolerance=TOLERANCE).tolist() == expected


def test_chains_become_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_BLOCK", 4)
    angles = np.arange(40) * 0.1  # each near the next one, the ends far apart
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    order = np.random.default_rng(0).permutation(40)
    assert set(similar(rows[order], np.ones(40, np.float32), tolerance=TOLERANCE)) == {0}


def test_groups_are_numbered_in_the_order_of_the_rows() -> None:
    rows = np.eye(3, dtype=np.float32)[[2, 1, 0, 1, 2]] * 100
    groups = similar(rows, np.square(rows).sum(axis=1), tolerance=TOLERANCE)
    assert groups.tolist() == [0, 1, -1, 1, 0]


def test_a_small_difference_between_long_vectors_is_seen() -> None:
    # As of two dull pictures on a bright ground: what varies is little of what is there.
    generator = np.random.default_rng(0)
    dull = generator.normal(size=(40, 256)) * 0.5
    rows = np.tile(250 + dull, (2, 1)).astype(np.float32)
    energies = (rows.var(axis=1) * 256).astype(np.float32)
    assert similar(rows, energies, tolerance=0.005).tolist() == [*range(40)] * 2


def test_features_of_a_frozen_network_may_decide_as_well() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(500, 64)).astype(np.float32)
    features[-3:] = features[:3] + generator.normal(size=(3, 64)).astype(np.float32) * 0.01
    groups = similar(features, np.square(features).sum(axis=1), tolerance=0.005)
    assert np.flatnonzero(groups >= 0).tolist() == [0, 1, 2, 497, 498, 499]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_and_a_single_row_are_no_group(count: int) -> None:
    rows = np.ones((count, 8), np.float32)
    assert similar(rows, np.full(count, 8.0), tolerance=0.01).tolist() == [-1] * count


def test_ten_thousand_rows_take_no_quadratic_loop() -> None:
    rows, energies = vectors(10_000, planted=50)
    started = time.perf_counter()
    groups = similar(rows, energies, tolerance=TOLERANCE)
    # Some 0.2 s; a loop over 50 million pairs would take minutes.
    assert time.perf_counter() - started < 10
    assert (groups[-50:] == groups[:50]).all() and (groups[:50] >= 0).all()
