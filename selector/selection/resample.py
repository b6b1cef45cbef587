"""Bootstrap resamples of the validation split, and a metric's value on each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from selector import metrics
from selector.records import Floats, Ints

Array = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

RESAMPLES = 1000
# Metrics of probabilities are computed anew on every resample, which costs about a millisecond.
SLOW_RESAMPLES = 200


def draw(labels: Ints, resamples: int, *, seed: int | Sequence[int]) -> Weights:
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


def scores_in_doubt(
    metric: str,
    labels: Ints,
    log_probabilities: Floats,
    *,
    seed: int | Sequence[int],
    positive: int | None = None,
) -> Array:
    """The metric on resamples of the data with one more sample, which went the other way.

    For a candidate whose resamples are all alike, such as one without any error: the plain
    bootstrap would call it certain. One error among n drawn samples leaves 3 of n wrong at the end
    of the 95% interval, which is the rule of three for no error among n (Hanley & Lippman-Hand,
    JAMA 249, 1983). Of all classes the sample has the one where it moves the metric the most.
    """

    def change(case: tuple[Ints, Floats]) -> float:
        return abs(metrics.compute(metric, *case, positive=positive) - observed)

    observed = metrics.compute(metric, labels, log_probabilities, positive=positive)
    against = positive if metrics.needs_positive(metric) else None
    more_labels, more_log_p = max(_one_more(labels, log_probabilities, against), key=change)
    weights = draw(more_labels, resample_count(metric), seed=seed)
    return scores(metric, more_labels, more_log_p, weights=weights, positive=positive)


def _one_more(
    labels: Ints, log_probabilities: Floats, against: int | None
) -> Iterator[tuple[Ints, Floats]]:
    """The data with one more sample of each class in turn, as sure as one of its class is.

    Its prediction has right and wrong exchanged; `against` is the class that a sample of another
    one is mistaken for, by default the most probable.
    """
    for label in np.unique(labels):
        row = log_probabilities[labels == label][0]
        others = np.where(np.arange(len(row)) == label, -np.inf, row)
        other = int(others.argmax()) if against in (None, label) else against
        changed = row.copy()
        changed[[label, other]] = row[[other, label]]
        yield np.append(labels, label), np.vstack([log_probabilities, changed])


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
