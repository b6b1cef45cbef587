"""Two candidates on the same samples: is one better, in which classes, and where do they differ?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selector import metrics
from selector.errors import ConflictError, InputError
from selector.records import (
    ClassDifference,
    ComparedCandidate,
    Comparison,
    Disagreement,
    Floats,
    Ints,
    StudyRow,
    TrialRow,
)
from selector.selection import resample, resampled
from selector.selection.certainty import positive_class, scores_of
from selector.selection.intervals import gap_interval, simultaneous_intervals


@dataclass(frozen=True, slots=True)
class Side:
    """A candidate with its study and its log-probabilities (n_validation, n_classes)."""

    study: StudyRow
    trial: TrialRow
    log_probabilities: Floats


def compare(a: Side, b: Side, *, metric: str | None = None, seed: int = 0) -> Comparison:
    """The paired comparison of two candidates by `metric`, by default that of their studies.

    The difference is tested by a paired bootstrap within classes, the samples that only one of
    them has right by McNemar's exact test (Psychometrika 12, 1947). Raises ConflictError where
    the candidates were not scored on the same data, InputError where they have no metric in common.
    """
    _require_same_data(a.study, b.study)
    name = _metric(a.study, b.study, metric)
    scores, _ = scores_of(
        a.study,
        [(index, {index: side.log_probabilities}) for index, side in enumerate((a, b))],
        metric=name,
        seed=seed,
    )
    sides = [_compared(side, name) for side in (a, b)]
    difference = sides[0].score - sides[1].score
    low, high = gap_interval(scores[0] - scores[1], difference)
    labels = a.study.data.validation_labels
    said = [metrics.predicted_classes(side.log_probabilities) for side in (a, b)]
    right = [each == labels for each in said]
    only_a, only_b = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    return Comparison(
        metric=name,
        goal=a.study.goal if name == a.study.metric else metrics.goal_of(name),
        fingerprint=a.study.data.fingerprint,
        samples=len(labels),
        resamples=scores.shape[1],
        a=sides[0],
        b=sides[1],
        difference=difference,
        low=low,
        high=high,
        p_value=paired_p_value(scores[0] - scores[1], difference),
        both_right=int((right[0] & right[1]).sum()),
        only_a_right=only_a,
        only_b_right=only_b,
        both_wrong=int((~right[0] & ~right[1]).sum()),
        disagreement_p_value=mcnemar_p_value(only_a, only_b),
        classes=_classes(a.study, said[0], said[1], seed=seed),
        disagreements=_disagreements(a.study, said[0], said[1]),
    )


def paired_p_value(gaps: resample.Array, observed: float) -> float:
    """How often resampled gaps (resamples,) lie as far from their mean as the gap from 0.

    Two-sided, and never 0 (Davison & Hinkley, 1997, ch. 4).
    """
    reached = np.abs(gaps - gaps.mean()) >= abs(observed) - 1e-12
    return float((1 + reached.sum()) / (1 + len(gaps)))


def mcnemar_p_value(one: int, other: int) -> float:
    """McNemar's exact two-sided test of two counts that should be equal: a fair coin's tails."""
    total, term, tail = one + other, 1, 0
    for heads in range(min(one, other) + 1):
        tail += term
        term = term * (total - heads) // (heads + 1)
    return float(min(1.0, 2 * tail / 2**total))


def _compared(side: Side, metric: str) -> ComparedCandidate:
    score = metrics.compute(
        metric,
        side.study.data.validation_labels,
        side.log_probabilities,
        positive=positive_class(side.study),
    )
    return ComparedCandidate(
        study=side.study.name,
        trial=side.trial.number,
        backbone=side.trial.backbone,
        score=score,
    )


def _require_same_data(one: StudyRow, other: StudyRow) -> None:
    same = (
        one.data.fingerprint == other.data.fingerprint
        and one.data.validation_ids == other.data.validation_ids
        and one.data.class_names == other.data.class_names
        and np.array_equal(one.data.validation_labels, other.data.validation_labels)
    )
    if not same:
        described = (
            f"'{study.name}' on {study.data.fingerprint[:19]} with "
            f"{len(study.data.validation_labels)} validation samples"
            for study in (one, other)
        )
        raise ConflictError(
            f"Not scored on the same data: {', '.join(described)}. "
            "Run both studies on the same images and split, then compare them."
        )


def _metric(one: StudyRow, other: StudyRow, wanted: str | None) -> str:
    if wanted is None and one.metric != other.metric:
        raise InputError(
            f"Study '{one.name}' is about {one.metric}, study '{other.name}' about {other.metric}. "
            "Say which metric to compare by: --metric NAME."
        )
    name = wanted or one.metric
    if metrics.needs_positive(name):
        positives = [positive_class(study) for study in (one, other)]
        if None in positives or positives[0] != positives[1]:
            raise InputError(
                f"Metric '{name}' needs the same metric.positive_class in both studies. "
                "Compare by another one: --metric f1_macro."
            )
    return name


def _classes(study: StudyRow, a: Ints, b: Ints, *, seed: int) -> tuple[ClassDifference, ...]:
    labels, names = study.data.validation_labels, study.data.class_names
    count = resample.resample_count("f1_macro", len(labels))
    weights = resample.draw(labels, count, seed=seed)
    once = resample.as_it_is(len(labels))
    scores = [_f1(labels, said, len(names), weights) for said in (a, b)]
    observed = [_f1(labels, said, len(names), once)[0] for said in (a, b)]
    support = np.bincount(labels, minlength=len(names))
    # Of all classes together: the one that differs the most is what a reader looks at.
    lows, highs = simultaneous_intervals(scores[0] - scores[1], observed[0] - observed[1])
    return tuple(
        ClassDifference(
            name=name,
            samples=int(support[index]),
            a=float(observed[0][index]),
            b=float(observed[1][index]),
            difference=float(observed[0][index] - observed[1][index]),
            low=float(lows[index]),
            high=float(highs[index]),
        )
        for index, name in enumerate(names)
    )


def _f1(
    labels: Ints, said: Ints, n_classes: int, weights: resample.Resamples
) -> npt.NDArray[np.float64]:
    """The F1 of each class on each resample, (resamples, classes)."""
    counted = resampled.margins(labels, said, n_classes, weights)
    each = [metrics.from_margins("f1_binary", *counted, positive=c) for c in range(n_classes)]
    return np.stack(each, axis=-1)


def _disagreements(study: StudyRow, a: Ints, b: Ints) -> tuple[Disagreement, ...]:
    names, data = study.data.class_names, study.data
    return tuple(
        Disagreement(
            sample=data.validation_ids[i],
            label=names[data.validation_labels[i]],
            a=names[a[i]],
            b=names[b[i]],
        )
        for i in np.flatnonzero(a != b)
    )
