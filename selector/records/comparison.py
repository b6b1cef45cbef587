"""Two candidates side by side on the same validation samples."""

from __future__ import annotations

from dataclasses import dataclass

from selector.records.aliases import Goal


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCandidate:
    """One of two candidates that are compared."""

    study: str
    trial: int
    backbone: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDifference:
    """The F1 of one class for both candidates; `difference` is a - b, with its 95% interval.

    The level is that of all classes together: in 95% of studies no interval misses. It is NaN
    where resamples cannot give one: where both are without any error, say.
    """

    name: str
    samples: int
    a: float
    b: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A sample of which two candidates say different things, by the names of classes."""

    sample: str
    label: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether one of two candidates is better; all differences are a - b in the metric's sign."""

    metric: str
    goal: Goal
    fingerprint: str
    samples: int
    resamples: int
    a: ComparedCandidate
    b: ComparedCandidate
    difference: float
    low: float
    high: float
    p_value: float  # of the difference in the metric
    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    disagreement_p_value: float  # of the counts of samples that only one has right
    classes: tuple[ClassDifference, ...]
    disagreements: tuple[Disagreement, ...]
