"""The threshold between two classes."""

from __future__ import annotations

import numpy as np
import pytest

from selector import metrics
from selector.errors import InputError
from selector.selection import threshold

NAMES = ("no", "yes")


def draw(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) of which a quarter is positive, and log probabilities (n, 2) that lean to no."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < 0.25).astype(np.int64)
    p = 1 / (1 + np.exp(1.5 - 1.5 * labels + generator.normal(0, 1, n)))
    return labels, np.log(np.stack([1 - p, p], axis=1)).astype(np.float32)


def score_at(value: float, metric: str, labels, log_p, positive: int) -> float:
    """The slow way: decide every sample, then count."""
    said = np.exp(log_p[:, positive].astype(np.float64)) >= value
    predicted = np.where(said, positive, 1 - positive)
    counts = metrics.confusion(labels, predicted, 2)
    return float(metrics.from_confusion(metric, counts, positive=positive))


@pytest.mark.parametrize("metric", ["f1_binary", "f1_macro", "accuracy", "mcc"])
@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_threshold_is_better(metric: str, positive: int, seed: int) -> None:
    labels, log_p = draw(seed)

    found = threshold.tune(metric, labels, log_p, class_names=NAMES, positive=positive)

    everywhere = [score_at(v, metric, labels, log_p, positive) for v in np.linspace(0, 1, 2001)]
    assert found.score == pytest.approx(score_at(found.value, metric, labels, log_p, positive))
    assert found.score >= max(everywhere) - 1e-12
    assert found.positive_class == NAMES[positive]


def test_of_equal_thresholds_the_nearest_to_one_half_is_taken() -> None:
    log_p = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], dtype=np.float32))
    labels = np.array([0, 0, 1])
    found = threshold.tune("accuracy", labels, log_p, class_names=NAMES, positive=1)
    assert found.value == 0.5
    assert found.score == 1.0


@pytest.mark.parametrize("metric", ["auroc", "log_loss", "ece"])
def test_metrics_of_probabilities_have_no_threshold(metric: str) -> None:
    labels, log_p = draw(0)
    with pytest.raises(InputError, match=metric):
        threshold.tune(metric, labels, log_p, class_names=NAMES, positive=1)
