"""Resamples are stratified and paired, and the fast scores are the plain ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from selector import metrics
from selector.selection import resample

LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2], dtype=np.int64)


def test_every_resample_keeps_the_class_counts() -> None:
    drawn = resample.draw(LABELS, 50, seed=3)
    assert drawn.counts.shape == (10, 50)
    weights = drawn.counts * drawn.scale[:, None]
    for class_index, count in enumerate(np.bincount(LABELS)):
        np.testing.assert_allclose(weights[class_index == LABELS].sum(axis=0), count)


@pytest.mark.parametrize("members", [2, 3, 10])
def test_a_class_varies_as_it_would_in_new_data(members: int) -> None:
    drawn = resample.draw(np.zeros(members, dtype=np.int64), 20_000, seed=3)
    values = np.random.default_rng(5).normal(size=members)
    means = values @ (drawn.counts * drawn.scale[:, None]) / members
    # The unbiased estimate of the variance of a mean.
    assert means.var() == pytest.approx(values.var(ddof=1) / members, rel=0.03)


def test_a_class_of_one_stays_as_it_is() -> None:
    drawn = resample.draw(np.array([0, 1, 1], dtype=np.int64), 20, seed=3)
    assert (drawn.counts[0] * drawn.scale[0] == 1).all()


def test_resamples_differ_and_are_reproducible() -> None:
    counts = resample.draw(LABELS, 50, seed=3).counts
    assert len(np.unique(counts, axis=1).T) > 10
    np.testing.assert_array_equal(counts, resample.draw(LABELS, 50, seed=3).counts)
    assert (counts != resample.draw(LABELS, 50, seed=4).counts).any()


@pytest.mark.parametrize("metric", [m for m in metrics.names() if not metrics.needs_positive(m)])
def test_the_fast_way_gives_what_scoring_each_resample_gives(
    metric: str, made_up: Callable[..., Any]
) -> None:
    study = made_up([0.7], n=40)
    labels, log_p = study.study.data.validation_labels, study.predictions[0]
    weights = resample.draw(labels, 20, seed=0)
    # Whole numbers of copies that stand in the same proportion.
    sizes = np.bincount(labels)
    common = np.lcm.reduce(sizes - 1)
    copies = weights.counts.astype(np.int64) * (common // (sizes - 1) * sizes)[labels][:, None]
    plain = [
        metrics.compute(metric, labels[rows], log_p[rows])
        for rows in (np.repeat(np.arange(40), times) for times in copies.T)
    ]
    fast = resample.scores(metric, labels, log_p, weights=weights)
    np.testing.assert_allclose(fast, plain, rtol=1e-6)


def test_a_resample_of_the_data_itself_has_the_score_of_the_data(
    made_up: Callable[..., Any],
) -> None:
    study = made_up([0.7])
    labels, log_p = study.study.data.validation_labels, study.predictions[0]
    once = resample.as_it_is(len(labels))
    for metric in ("f1_macro", "log_loss", "auroc"):
        score = resample.scores(metric, labels, log_p, weights=once)
        assert score[0] == pytest.approx(metrics.compute(metric, labels, log_p))
