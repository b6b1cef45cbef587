"""Scores of predictions: the menu of metrics, and each of them in numpy.

scikit-learn is the reference (`zero_division=0`, `labels=range(n_classes)`); nothing here imports
it, so that reading results stays fast. Metrics that only count right and wrong labels are functions
of the confusion matrix and work on many matrices at once, which makes a bootstrap cheap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from selector.errors import InputError, UnknownNameError
from selector.records import ClassScore, Floats, Goal, Ints

Array = npt.NDArray[np.float64]

DEFAULT = "f1_macro"
ECE_BINS = 15

_COUNT_BASED = (
    "f1_macro",
    "accuracy",
    "balanced_accuracy",
    "precision_macro",
    "precision_micro",
    "precision_weighted",
    "recall_macro",
    "recall_micro",
    "recall_weighted",
    "f1_micro",
    "f1_weighted",
    "f1_binary",
    "precision_binary",
    "recall_binary",
    "mcc",
)
_GOALS: dict[str, Goal] = {
    **dict.fromkeys(_COUNT_BASED, "maximize"),
    "auroc": "maximize",
    "log_loss": "minimize",
    "ece": "minimize",
}


# --- the menu -----------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """Every metric's name, the default first."""
    return tuple(_GOALS)


def goal_of(name: str) -> Goal:
    """Whether more or less of the metric is better."""
    _require_known(name)
    return _GOALS[name]


def range_of(name: str) -> tuple[float, float]:
    """The lowest and the highest value that a metric can have."""
    _require_known(name)
    highest = math.inf if name == "log_loss" else 1.0
    return (-1.0 if name == "mcc" else 0.0), highest


def is_count_based(name: str) -> bool:
    """True where the confusion matrix alone decides the metric."""
    _require_known(name)
    return name in _COUNT_BASED


def needs_positive(name: str) -> bool:
    """True where the metric is that of one class against the rest, and needs to know which."""
    _require_known(name)
    return name.endswith("_binary")


# --- scores -------------------------------------------------------------------------------------


def compute(
    name: str, labels: Ints, log_probabilities: Floats, *, positive: int | None = None
) -> float:
    """One metric of predictions.

    `labels` is (n,) class indices, `log_probabilities` (n, classes); the predicted class is the
    most probable one. `positive` is the index of the class that the binary metrics are about.
    """
    _require_known(name)
    _require_alike(labels, log_probabilities)
    if name in _COUNT_BASED:
        n_classes = log_probabilities.shape[1]
        counts = confusion(labels, predicted_classes(log_probabilities), n_classes)
        return float(from_confusion(name, counts, positive=positive))
    return _from_probabilities(name, labels, log_probabilities)


def compute_all(
    labels: Ints, log_probabilities: Floats, *, positive: int | None = None
) -> dict[str, float]:
    """Every metric that exists for these predictions, by name.

    The binary metrics are there where a `positive` class is named.
    """
    _require_alike(labels, log_probabilities)
    n_classes = log_probabilities.shape[1]
    counts = confusion(labels, predicted_classes(log_probabilities), n_classes)
    scores: dict[str, float] = {}
    for name in _GOALS:
        if needs_positive(name) and positive is None:
            continue
        if name in _COUNT_BASED:
            scores[name] = float(from_confusion(name, counts, positive=positive))
        else:
            scores[name] = _from_probabilities(name, labels, log_probabilities)
    return scores


def per_class(
    labels: Ints, log_probabilities: Floats, class_names: Sequence[str]
) -> tuple[ClassScore, ...]:
    """Precision, recall, F1 and support of each class, in the order of `class_names`."""
    _require_alike(labels, log_probabilities)
    if len(class_names) != log_probabilities.shape[1]:
        raise ValueError(
            f"{len(class_names)} class names for predictions of shape {log_probabilities.shape}"
        )
    counts = confusion(labels, predicted_classes(log_probabilities), len(class_names))
    hits, actual, predicted = _margins(counts)
    precision = _ratio(hits, predicted)
    recall = _ratio(hits, actual)
    f1 = _ratio(2 * hits, actual + predicted)
    return tuple(
        ClassScore(name, float(precision[i]), float(recall[i]), float(f1[i]), int(actual[i]))
        for i, name in enumerate(class_names)
    )


def predicted_classes(log_probabilities: Floats) -> Ints:
    """The most probable class of each row (n,); the first of equals."""
    return np.asarray(np.argmax(log_probabilities, axis=1), dtype=np.int64)


def confusion(labels: Ints, predicted: Ints, n_classes: int) -> Ints:
    """The confusion matrix (classes, classes): rows are true classes, columns predicted ones."""
    cells = np.bincount(labels * n_classes + predicted, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes).astype(np.int64)


def from_confusion(name: str, confusion: npt.NDArray[Any], *, positive: int | None = None) -> Array:
    """A count-based metric of each confusion matrix: (..., classes, classes) -> (...).

    A ratio without a denominator counts as 0.
    """
    if not is_count_based(name):
        raise InputError(
            f"Metric '{name}' needs probabilities, not counts. "
            f"Known count-based metrics: {', '.join(_COUNT_BASED)}."
        )
    return from_margins(name, *_margins(confusion), positive=positive)


def from_margins(
    name: str, hits: Array, actual: Array, predicted: Array, *, positive: int | None = None
) -> Array:
    """A count-based metric of right, true and predicted counts of each class, (..., classes).

    Every count-based metric needs only these margins of the confusion matrix. Leading dimensions
    are those of the result; where all matrices have the same true counts, `actual` may lack them.
    """
    kind, _, average = name.rpartition("_")
    if name == "mcc":
        return _mcc(hits, actual, predicted)
    if name == "balanced_accuracy":
        return _balanced_accuracy(hits, actual)
    # With one label a sample, every micro average is the accuracy.
    if name == "accuracy" or average == "micro":
        return _ratio(hits.sum(-1), actual.sum(-1))
    scores = _class_ratio(kind, hits, actual, predicted)
    if average == "macro":
        return np.asarray(scores.mean(-1))
    if average == "weighted":
        return _ratio((scores * actual).sum(-1), actual.sum(-1))
    return np.asarray(scores[..., _checked_positive(name, positive, hits.shape[-1])])


def calibration_bins(
    labels: Ints, log_probabilities: Floats
) -> tuple[tuple[float, float, int], ...]:
    """The bins of the expected calibration error that hold samples, from low to high confidence.

    Each is (mean confidence, share that is right, samples): `ece` is the mean of the absolute
    differences of the first two, weighted by the third.
    """
    probabilities = np.exp(np.asarray(log_probabilities, dtype=np.float64))
    bins, gaps = calibration_gaps(labels, probabilities)
    confidence = probabilities.max(axis=1)
    found = []
    for number in np.unique(bins):
        own = bins == number
        stated = float(confidence[own].mean())
        found.append((stated, stated + float(gaps[own].mean()), int(own.sum())))
    return tuple(found)


def calibration_gaps(labels: Ints, probabilities: Array) -> tuple[Ints, Array]:
    """The calibration bin of each sample, and by how much its hit exceeds its confidence: (n,)."""
    confidence = probabilities.max(axis=1)
    correct = np.argmax(probabilities, axis=1) == labels
    # Bins are (low, high], so that a probability of exactly 1 falls into the last one.
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    return bins, correct - confidence


# --- from counts --------------------------------------------------------------------------------


def _margins(confusion: npt.NDArray[Any]) -> tuple[Array, Array, Array]:
    """Hits, true counts and predicted counts of each class, each (..., classes)."""
    counts = np.asarray(confusion, dtype=np.float64)
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2)


def _class_ratio(kind: str, hits: Array, actual: Array, predicted: Array) -> Array:
    match kind:
        case "precision":
            return _ratio(hits, predicted)
        case "recall":
            return _ratio(hits, actual)
        case _:
            return _ratio(2 * hits, actual + predicted)


def _balanced_accuracy(hits: Array, actual: Array) -> Array:
    """Mean recall over the classes that occur, as scikit-learn has it."""
    return _ratio(_ratio(hits, actual).sum(-1), (actual > 0).sum(-1).astype(np.float64))


def _mcc(hits: Array, actual: Array, predicted: Array) -> Array:
    """Matthews correlation for any number of classes (Gorodkin, 2004)."""
    right, total = hits.sum(-1), actual.sum(-1)
    shared = right * total - (actual * predicted).sum(-1)
    spread_actual = total**2 - (actual**2).sum(-1)
    spread_predicted = total**2 - (predicted**2).sum(-1)
    return _ratio(shared, np.sqrt(spread_actual) * np.sqrt(spread_predicted))


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Elementwise quotient, 0 where there is nothing to divide by."""
    nothing = denominator == 0
    return np.asarray(np.where(nothing, 0.0, numerator / np.where(nothing, 1.0, denominator)))


# --- from probabilities -------------------------------------------------------------------------


def _from_probabilities(name: str, labels: Ints, log_probabilities: Floats) -> float:
    log_p = np.asarray(log_probabilities, dtype=np.float64)
    match name:
        case "auroc":
            return _auroc(labels, log_p)
        case "log_loss":
            return float(-log_p[np.arange(len(labels)), labels].mean())
        case _:
            return _calibration_error(labels, np.exp(log_p))


def _auroc(labels: Ints, log_p: Array) -> float:
    """Area under the ROC curve; with more than two classes the mean of one class against the rest.

    Classes that do not occur, or that alone occur, have no curve and are left out of the mean;
    with no curve at all the result is NaN.
    """
    if log_p.shape[1] == 2:
        return _area(labels == 1, log_p[:, 1])
    areas = np.array([_area(labels == c, log_p[:, c]) for c in range(log_p.shape[1])])
    defined = areas[~np.isnan(areas)]
    return float(defined.mean()) if len(defined) else float("nan")


def _area(is_positive: npt.NDArray[np.bool_], scores: Array) -> float:
    """The share of (positive, negative) pairs in the right order, ties counting half."""
    n_positive = int(is_positive.sum())
    n_negative = len(is_positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    mean_rank = (last_rank - (counts - 1) / 2)[inverse]
    smallest = n_positive * (n_positive + 1) / 2
    return float((mean_rank[is_positive].sum() - smallest) / (n_positive * n_negative))


def _calibration_error(labels: Ints, probabilities: Array) -> float:
    """Expected calibration error, equal-width bins of the top probability (Guo et al., 2017)."""
    bins, gaps = calibration_gaps(labels, probabilities)
    sums = np.bincount(bins, weights=gaps, minlength=ECE_BINS)
    return float(np.abs(sums).sum() / len(labels))


# --- checks -------------------------------------------------------------------------------------


def _require_known(name: str) -> None:
    if name not in _GOALS:
        raise UnknownNameError("metric", name, _GOALS)


def _require_alike(labels: Ints, log_probabilities: Floats) -> None:
    if log_probabilities.ndim != 2 or labels.shape != log_probabilities.shape[:1]:
        raise ValueError(
            f"labels {labels.shape} and log probabilities {log_probabilities.shape} do not match"
        )
    if not len(labels):
        raise InputError("No predictions to score: the split is empty.")


def _checked_positive(name: str, positive: int | None, n_classes: int) -> int:
    if positive is None:
        raise InputError(f"Metric '{name}' needs 'positive_class': the name of the positive class.")
    if not 0 <= positive < n_classes:
        raise InputError(
            f"Positive class {positive} of metric '{name}' is outside 0..{n_classes - 1}."
        )
    return positive
