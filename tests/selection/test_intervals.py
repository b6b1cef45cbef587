"""A candidate's interval covers its true score about as often as it claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from selector import metrics
from selector.selection.intervals import percentile_interval


def test_the_interval_cuts_a_fortieth_off_each_side() -> None:
    interval = percentile_interval(np.arange(1001) / 1000, 0.5)
    assert interval == pytest.approx((0.025, 0.975))


def test_the_interval_holds_the_observed_score() -> None:
    assert percentile_interval(np.full(10, 0.5), 0.7) == (0.5, 0.7)
    assert percentile_interval(np.full(10, 0.5), 0.3) == (0.3, 0.5)


@pytest.mark.parametrize("n", [24, 100, 600])
def test_a_faultless_candidate_is_as_sure_as_the_rule_of_three(
    made_up: Callable[..., Any], n: int
) -> None:
    row = made_up([1.0], n=n, metric="accuracy").build().candidates[0]
    assert row.score == row.ci_high == 1.0
    assert row.ci_low == pytest.approx(1 - 3 / n, abs=1.1 / n)


def test_nearly_faultless_candidates_are_covered_too(made_up: Callable[..., Any]) -> None:
    # Three in ten of them make no error at all.
    rows = [
        made_up([0.98], n=60, seed=seed, metric="accuracy").build().candidates[0]
        for seed in range(100)
    ]
    assert np.mean([row.score == 1 for row in rows]) > 0.2
    assert np.mean([row.ci_low <= 0.98 <= row.ci_high for row in rows]) >= 0.91


@pytest.mark.parametrize(
    ("metric", "positive"),
    [(name, "class 1" if metrics.needs_positive(name) else None) for name in metrics.names()],
)
def test_no_metric_is_ever_certain(
    made_up: Callable[..., Any], metric: str, positive: str | None
) -> None:
    row = made_up([1.0], n=24, metric=metric, positive=positive).build().candidates[0]
    assert row.ci_low < row.ci_high


def test_a_candidate_that_always_says_the_same_is_not_certain(made_up: Callable[..., Any]) -> None:
    study = made_up([0.8], n=40)
    constant = np.tile(np.log(np.array([[0.1, 0.7, 0.1, 0.1]], dtype=np.float32)), (40, 1))
    row = replace(study, predictions={0: constant}).build().candidates[0]
    assert row.ci_low < row.ci_high


def test_intervals_cover_the_true_accuracy_in_19_of_20_studies(
    made_up: Callable[..., Any],
) -> None:
    rows = [
        row
        for seed in range(25)
        for row in made_up([0.8] * 8, n=400, seed=seed, metric="accuracy").build().candidates
    ]
    covered = np.mean([row.ci_low <= 0.8 <= row.ci_high for row in rows])
    assert 0.91 <= covered <= 0.98


def test_more_samples_make_narrower_intervals(made_up: Callable[..., Any]) -> None:
    few, many = (made_up([0.8], n=n).build().candidates[0] for n in (100, 1600))
    ratio = (few.ci_high - few.ci_low) / (many.ci_high - many.ci_low)
    assert 3 < ratio < 5.5  # a fourth, up to chance
