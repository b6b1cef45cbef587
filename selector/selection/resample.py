"""Bootstrap resamples of the validation split, and a metric's value on each of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector import metrics
from selector.records import Floats, Ints

Array = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

RESAMPLES = 1000
# Metrics of probabilities are computed anew on every resample, which costs about a millisecond.
SLOW_RESAMPLES = 200


def draw(labels: Ints, resamples: int, *, seed: int) -> Weights:
    """How often each sample occurs in each resample, (resamples, n).

    Samples are drawn with replacement within their class, so that every resample has the class
    counts of the data. All candidates are scored on the same resamples, which makes their
    differences paired.
    """
    generator = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(labels)), dtype=np.float32)
    for class_index in np.unique(labels):
        members = np.flatnonzero(labels == class_index)
        even = np.full(len(members), 1 / len(members))
        weights[:, members] = generator.multinomial(len(members), even, size=resamples)
    return weights


def resample_count(metric: str) -> int:
    """How many resamples a report affords for `metric`."""
    cheap = metrics.is_count_based(metric) or metric == "log_loss"
    return RESAMPLES if cheap else SLOW_RESAMPLES


def scores(
    metric: str,
    labels: Ints,
    log_probabilities: Floats,
    *,
    weights: Weights,
    positive: int | None = None,
) -> Array:
    """The metric on each resample, (resamples,).

    `labels` is (n,), `log_probabilities` (n, classes), `weights` (resamples, n) as from `draw`.
    """
    if metrics.is_count_based(metric):
        counts = _confusions(labels, log_probabilities, weights)
        return metrics.from_confusion(metric, counts, positive=positive)
    if metric == "log_loss":
        losses = -log_probabilities[np.arange(len(labels)), labels].astype(np.float64)
        return np.asarray(weights.astype(np.float64) @ losses / len(labels))
    return _one_by_one(metric, labels, log_probabilities, weights)


def _confusions(labels: Ints, log_probabilities: Floats, weights: Weights) -> Weights:
    """The confusion matrix of each resample, (resamples, classes, classes).

    A row of the matrix needs only the samples of its class, so the whole costs no more than
    resamples x n x classes. Counts stay exact in float32 up to 16 million samples.
    """
    n_classes = log_probabilities.shape[1]
    predicted = np.eye(n_classes, dtype=np.float32)[metrics.predicted_classes(log_probabilities)]
    counts = np.zeros((len(weights), n_classes, n_classes), dtype=np.float32)
    for class_index in np.unique(labels):
        members = labels == class_index
        counts[:, class_index] = weights[:, members] @ predicted[members]
    return counts


def _one_by_one(metric: str, labels: Ints, log_probabilities: Floats, weights: Weights) -> Array:
    """The plain way: build each resample and compute the metric on it."""
    samples = np.arange(len(labels))
    drawn = (np.repeat(samples, row.astype(np.int64)) for row in weights)
    return np.array(
        [metrics.compute(metric, labels[rows], log_probabilities[rows]) for rows in drawn]
    )
