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
    weights = resample.draw(LABELS, 50, seed=3)
    assert weights.shape == (10, 50)
    for class_index, count in enumerate(np.bincount(LABELS)):
        assert (weights[class_index == LABELS].sum(axis=0) == count).all()


def test_resamples_differ_and_are_reproducible() -> None:
    weights = resample.draw(LABELS, 50, seed=3)
    assert len(np.unique(weights, axis=1).T) > 10
    np.testing.assert_array_equal(weights, resample.draw(LABELS, 50, seed=3))
    assert (weights != resample.draw(LABELS, 50, seed=4)).any()


@pytest.mark.parametrize("metric", [m for m in metrics.names() if not metrics.needs_positive(m)])
def test_the_fast_way_gives_what_scoring_each_resample_gives(
    metric: str, made_up: Callable[..., Any]
) -> None:
    study = made_up([0.7], n=40)
    labels, log_p = study.study.data.validation_labels, study.predictions[0]
    weights = resample.draw(labels, 20, seed=0)
    plain = [
        metrics.compute(metric, labels[rows], log_p[rows])
        for rows in (np.repeat(np.arange(40), w.astype(int)) for w in weights.T)
    ]
    fast = resample.scores(metric, labels, log_p, weights=weights)
    np.testing.assert_allclose(fast, plain, rtol=1e-6)


def test_a_resample_of_the_data_itself_has_the_score_of_the_data(
    made_up: Callable[..., Any],
) -> None:
    study = made_up([0.7])
    labels, log_p = study.study.data.validation_labels, study.predictions[0]
    once = np.ones((len(labels), 1), dtype=np.uint8)
    for metric in ("f1_macro", "log_loss", "auroc"):
        score = resample.scores(metric, labels, log_p, weights=once)
        assert score[0] == pytest.approx(metrics.compute(metric, labels, log_p))
