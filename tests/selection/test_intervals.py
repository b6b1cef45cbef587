"""A candidate's interval covers its true score about as often as it claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from selector.selection.intervals import percentile_interval


def test_the_interval_cuts_a_fortieth_off_each_side() -> None:
    interval = percentile_interval(np.arange(1001) / 1000, 0.5)
    assert interval == pytest.approx((0.025, 0.975))


def test_the_interval_holds_the_observed_score() -> None:
    assert percentile_interval(np.full(10, 0.5), 0.7) == (0.5, 0.7)
    assert percentile_interval(np.full(10, 0.5), 0.3) == (0.3, 0.5)


def test_a_faultless_candidate_has_nothing_to_resample(made_up: Callable[..., Any]) -> None:
    row = made_up([1.0]).build().candidates[0]
    assert (row.ci_low, row.score, row.ci_high) == (1.0, 1.0, 1.0)


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
