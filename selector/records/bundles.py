"""What is known of a bundle and of the gate that it passed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms of one part of a network, and who says so."""

    part: str  # "timm (code)", "weights of timm:resnet18"
    terms: str  # "Apache-2.0", or "unknown: check before you ship"
    source: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """The probability from which the class called positive is predicted, of two classes."""

    positive_class: str
    value: float
    tuned_for: str | None = None  # the metric, on validation; None where it was given
    score: float | None = None  # of that metric on validation at this threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """What the exported file says of the validation images, beside what is stored.

    `exact` where both were computed in float32 on a CPU: the metric must then be the same.
    """

    passed: bool
    exact: bool
    images: int
    metric: str
    stored_score: float
    score: float
    score_difference: float
    allowed_score_difference: float | None  # None: labels and probabilities decide
    flipped_labels: int
    allowed_flipped_labels: int | None
    probability_difference: float  # the largest one
    allowed_probability_difference: float
    latency_ms: float  # one image, median, CPU
    file_bytes: int
    packages: tuple[str, ...]  # of others than Python itself, that the fresh process imported
    threads: int = 1  # that `latency_ms` was measured with: those of the study's limits
    flipped_decisions: int = 0  # labels by the threshold of two classes that differ
    allowed_flipped_decisions: int | None = None  # None: no threshold decides


@dataclass(frozen=True, slots=True)
class ExportedBundle:
    """Where a bundle lies, what the gate found, and how it stands to the limits of the study."""

    path: Path
    parity: ParityReport
    unmet: tuple[str, ...] = ()  # each as `latency_ms 35.1 > 12`
    unchecked: str | None = None  # why the latency was not measured again, where it is limited
