"""The values that cross a module border: frozen, typed, without behaviour of their own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Goal = Literal["maximize", "minimize"]
SplitName = Literal["train", "validation", "test"]
TrialState = Literal["running", "complete", "pruned", "failed", "waiting"]
RunStatus = Literal["running", "complete", "interrupted", "failed"]
Origin = Literal["start_from", "recipe", "startup", "sampler"]
Scalar = str | int | float | bool

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


# --- data ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a decoded RGB image becomes a network's input: resize, centre crop, normalise.

    The shorter side is resized to `size` pixels, the centre `size` x `size` square is kept, values
    are scaled to 0..1, then normalised per channel with `mean` and `std`.
    """

    size: int
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image. `id` is stable across machines (a relative path, or reader-made)."""

    id: str
    label: str
    group: str | None = None
    split: SplitName | None = None


@dataclass(frozen=True, slots=True)
class Splits:
    """Indices into the samples of a data set, each (n,) int64, disjoint and sorted."""

    train: Ints
    validation: Ints
    test: Ints


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What the store and the reports know of a data set, without its images."""

    fingerprint: str
    class_names: tuple[str, ...]
    counts: Mapping[SplitName, int]
    class_counts: Mapping[str, Mapping[SplitName, int]]
    validation_ids: tuple[str, ...]
    validation_labels: Ints  # (n_validation,)
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SplitImages:
    """Decoded images of one split, resized, in memory-mapped uint8.

    `images` is (n, height, width, 3), `labels` (n,) class indices, `sample_ids` n stable names.
    `content` changes with anything that changes the pixels or their order; it is empty where
    nobody knows, and then nothing made from the pixels outlives the trial.
    """

    images: Bytes
    labels: Ints
    sample_ids: tuple[str, ...]
    content: str = ""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All that a trial may see of the data: the test split is not reachable from here."""

    train: SplitImages
    validation: SplitImages
    class_names: tuple[str, ...]


# --- training -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides how one network is trained."""

    backbone: str
    lr: float
    freeze_depth: int
    batch_size: int
    image_size: int
    epochs: int
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    layer_decay: float = 1.0
    label_smoothing: float = 0.0
    augment: str = "none"
    warmup_epochs: float = 0.5
    schedule: Literal["cosine", "constant"] = "cosine"
    class_weights: Literal["none", "balanced"] = "none"
    clip_norm: float = 1.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One epoch of training, seen from outside.

    `log_probabilities` is (n_validation, n_classes) float32, in the order of the validation split.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    lr: float
    seconds: float
    log_probabilities: Floats


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch as it is stored: its numbers without the predictions."""

    epoch: int
    train_loss: float
    validation_loss: float
    score: float
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one network costs on one device, measured; for a plan before the first trial.

    `peak_bytes` is device memory during a training step, None where the device does not count it.
    """

    train_seconds_per_image: float
    evaluation_seconds_per_image: float
    peak_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneProxies:
    """What a backbone's features are worth before any training: scores on the study's metric."""

    backbone: str
    image_size: int
    knn: float  # of the nearest training samples' vote on validation
    probe: float  # of a linear layer
    parameters: int  # without a head
    seconds: float


# --- results ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 of one class on validation, and its number of samples."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a completed trial leaves behind, taken at its best epoch."""

    metrics: Mapping[str, float]
    class_scores: tuple[ClassScore, ...]
    log_probabilities: Floats  # (n_validation, n_classes)
    parameters: int
    trained_parameters: int
    latency_ms: float  # one image, median, on the device of the trial
    checkpoint: str | None  # file name below the artifacts folder
    checkpoint_sha256: str | None
    checkpoint_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStart:
    """A trial as it is taken by a worker."""

    number: int
    backbone: str
    params: Mapping[str, Scalar]
    origin: Origin
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """How a trial ended; `score` and `best_epoch` are those of its best epoch so far."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    epochs: tuple[EpochRecord, ...]
    score: float | None
    best_epoch: int | None
    seconds: float
    failure_cause: str | None = None
    failure_message: str | None = None
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """What budgets and claims need of a trial; read often, so nothing more."""

    number: int
    state: TrialState
    score: float | None
    epochs: int
    parameters: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A trial as the store knows it."""

    number: int
    state: TrialState
    backbone: str
    params: Mapping[str, Scalar]
    origin: Origin
    seed: int
    score: float | None
    best_epoch: int | None
    epochs: int
    seconds: float | None
    failure_cause: str | None
    failure_message: str | None
    parameters: int | None
    trained_parameters: int | None
    latency_ms: float | None
    checkpoint: str | None
    checkpoint_sha256: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """A study as the store knows it."""

    name: str
    metric: str
    goal: Goal
    spec: Mapping[str, Any]  # the resolved study file as plain JSON
    spec_sha256: str
    data: DataSummary
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """One line of `selector list`."""

    name: str
    metric: str
    goal: Goal
    best_score: float | None
    best_trial: int | None
    best_backbone: str | None
    counts: TrialCounts
    created_at: dt.datetime
    last_run_status: str | None


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """How many trials are in each state."""

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """One invocation of `selector run`, as it begins."""

    study: str
    command: str
    spec: Mapping[str, Any]
    fingerprint: str
    environment: Mapping[str, Any]  # git commit, package versions, device, host
    host: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as the store knows it."""

    id: int
    status: RunStatus
    command: str
    spec: Mapping[str, Any]
    fingerprint: str
    environment: Mapping[str, Any]
    host: str
    pid: int
    started_at: dt.datetime
    ended_at: dt.datetime | None


# --- ranking ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One candidate in rank order. Scores are in the metric's natural sign."""

    rank: int
    trial: int
    backbone: str
    params: Mapping[str, Scalar]
    score: float
    ci_low: float
    ci_high: float
    tied_with_best: bool
    best_epoch: int
    epochs: int
    seconds: float
    parameters: int
    latency_ms: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAudit:
    """How well proxies foretold the best scores: rank correlations over backbones that have both.

    A correlation is None where too few backbones have a score, or all are equal.
    """

    metric: str  # the study's own
    goal: Goal
    proxies: tuple[BackboneProxies, ...]  # the most promising first
    best_scores: Mapping[str, float]  # of completed trials, by backbone
    knn: float | None
    probe: float | None
    parameters: float | None  # of simply taking the larger backbone for the better one


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Ordered candidates of one study on one metric."""

    study: str
    metric: str
    goal: Goal
    fingerprint: str
    counts: Mapping[SplitName, int]
    candidates: tuple[LeaderboardRow, ...]
    trials: TrialCounts
    proxies: ProxyAudit | None = None  # on the study's own metric, whatever the order is by


# --- predictions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a candidate says of one image: its label and the probability of every class."""

    path: str
    label: str
    probabilities: Mapping[str, float]
