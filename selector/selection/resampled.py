"""Metrics of many resamples at once: one pass over the samples instead of one a resample.

Resamples keep the class counts of the data, so whatever depends on them alone is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selector import metrics
from selector.records import Floats, Ints

Array = npt.NDArray[np.float64]
Prepared = Callable[["Resamples"], Array]


@dataclass(frozen=True, slots=True)
class Resamples:
    """How often each sample occurs in each resample, and what one occurrence counts.

    `counts` is (n, resamples), `scale` (n,), the same for all samples of a class: counts times
    scale add up to the class counts of the data.
    """

    counts: npt.NDArray[np.uint8]
    scale: Array

    def some(self, start: int, stop: int) -> Resamples:
        """The resamples from `start` up to `stop`."""
        return Resamples(self.counts[:, start:stop], self.scale)


def prepare(
    metric: str, labels: Ints, log_probabilities: Floats, *, positive: int | None = None
) -> Prepared:
    """A function that gives the metric on each of some resamples, (resamples,).

    `labels` is (n,), `log_probabilities` (n, classes).
    """
    if metrics.is_count_based(metric):
        predicted = metrics.predicted_classes(log_probabilities)
        return _count_based(metric, labels, predicted, log_probabilities.shape[1], positive)
    log_p = np.asarray(log_probabilities, dtype=np.float64)
    match metric:
        case "log_loss":
            losses = -log_p[np.arange(len(labels)), labels]
            return lambda drawn: np.asarray((losses * drawn.scale) @ drawn.counts / len(labels))
        case "ece":
            return _calibration_error(labels, log_p)
        case _:
            return _auroc(labels, log_p)


def margins(
    labels: Ints, predicted: Ints, n_classes: int, resamples: Resamples
) -> tuple[Array, Array, Array]:
    """Hits, true counts and predicted counts of each class in each resample.

    Each is (resamples, classes), the true counts (classes,). Only wrong predictions are looked at:
    a class's hits are its count without its errors, and what else is predicted as it is an error.
    """
    actual = np.bincount(labels, minlength=n_classes).astype(np.float64)
    wrong = np.flatnonzero(predicted != labels)
    of_class = np.ones(n_classes)
    of_class[labels] = resamples.scale
    drawn = resamples.counts[wrong]
    hits = actual - (_sums(drawn, labels[wrong], n_classes) * of_class[:, None]).T
    # What is predicted as one class comes from several, which count differently.
    errors = drawn * resamples.scale[wrong, None]
    return hits, actual, hits + _sums(errors, predicted[wrong], n_classes).T


def _count_based(
    metric: str, labels: Ints, predicted: Ints, n_classes: int, positive: int | None
) -> Prepared:
    def scores(resamples: Resamples) -> Array:
        hits, actual, guessed = margins(labels, predicted, n_classes, resamples)
        return metrics.from_margins(metric, hits, actual, guessed, positive=positive)

    return scores


def _calibration_error(labels: Ints, log_p: Array) -> Prepared:
    bins, gaps = metrics.calibration_gaps(labels, np.exp(log_p))

    def scores(resamples: Resamples) -> Array:
        drawn = resamples.counts * (gaps * resamples.scale)[:, None]
        sums = _sums(drawn, bins, metrics.ECE_BINS)
        return np.asarray(np.abs(sums).sum(axis=0) / len(labels))

    return scores


def _auroc(labels: Ints, log_p: Array) -> Prepared:
    n_classes = log_p.shape[1]
    wanted = [1] if n_classes == 2 else range(n_classes)
    defined = [c for c in wanted if 0 < (labels == c).sum() < len(labels)]

    def scores(resamples: Resamples) -> Array:
        if not defined:
            return np.full(resamples.counts.shape[1], np.nan)
        scale = resamples.scale.astype(np.float32)
        drawn = np.multiply(resamples.counts, scale[:, None], dtype=np.float32)
        areas = [_area(labels == c, log_p[:, c], drawn) for c in defined]
        return np.asarray(np.mean(areas, axis=0))

    return scores


def _area(
    is_positive: npt.NDArray[np.bool_], values: Array, drawn: npt.NDArray[np.float32]
) -> Array:
    """The share of (positive, negative) pairs in the right order, ties counting half."""
    distinct, group = np.unique(values[is_positive], return_inverse=True)
    others = values[~is_positive]
    # Where a negative lies: bin 2k is below the positives' value k, bin 2k + 1 equal to it.
    place = np.searchsorted(distinct, others, "left") + np.searchsorted(distinct, others, "right")
    negatives = _sums(drawn[~is_positive], place, 2 * len(distinct) + 1)
    positives = _sums(drawn[is_positive], group, len(distinct))
    below = np.cumsum(negatives, axis=0)[:-1:2] + negatives[1::2] / 2
    pairs = is_positive.sum() * (~is_positive).sum()
    return np.asarray((positives * below).sum(axis=0) / pairs)


def _sums(drawn: npt.NDArray[np.generic], groups: Ints, n_groups: int) -> Array:
    """The rows of each group added up: (rows, resamples) -> (groups, resamples)."""
    totals = np.zeros((n_groups, drawn.shape[1]))
    if len(groups):
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        dtype = np.float64 if drawn.dtype.kind == "f" else np.uint32
        totals[groups[order][starts]] = np.add.reduceat(drawn[order], starts, axis=0, dtype=dtype)
    return totals
