"""What the store keeps of studies, runs and trials."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from selector.records.aliases import Floats, Goal, Origin, RunStatus, Scalar, TrialState
from selector.records.data import DataSummary
from selector.records.finals import Heat
from selector.records.service import StudyState
from selector.records.training import EpochRecord


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
class StoredCheckpoint:
    """A trial's checkpoint: its file's name below the artifacts folder, and its size."""

    trial: int
    file: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStart:
    """A trial as it is taken by a worker."""

    number: int
    backbone: str
    params: Mapping[str, Scalar]
    origin: Origin
    seed: int
    heat: Heat | None = None  # of the finals
    retry_of: int | None = None  # the failed trial whose parameters these are


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
    micro_batch: int | None = None  # samples at once, where memory had no room for a whole batch
    norm_by_micro_batch: bool = False  # trained batch normalisation saw no more than that


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """What budgets and claims need of a trial; read often, so nothing more."""

    number: int
    state: TrialState
    score: float | None
    epochs: int
    parameters: int | None
    retried: bool = False  # failed, and handed out again under another number
    origin: Origin = "sampler"


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
    retry_of: int | None = None  # the failed trial whose parameters these are
    retried: bool = False  # failed, and handed out again under another number
    micro_batch: int | None = None  # samples at once, where memory had no room for a whole batch
    norm_by_micro_batch: bool = False  # trained batch normalisation saw no more than that


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
    version: int = 1  # of the search space


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
    state: StudyState
    budget_trials: int | None = None  # None where the stored study file names none

    @property
    def trials_left(self) -> int | None:
        """How many trials of the budget are not used up; running ones are."""
        if self.budget_trials is None:
            return None
        return max(0, self.budget_trials - self.counts.finished - self.counts.running)


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """How many trials are in each state."""

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0

    @property
    def finished(self) -> int:
        """Trials that used up budget."""
        return self.complete + self.pruned + self.failed


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


RunCause = Literal["disk_full", "data", "conflict", "unavailable", "stopped", "bug"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailure:
    """Why a run ended before its budget; the trial that it had then, in which epoch, if any."""

    cause: RunCause
    message: str
    trial: int | None = None
    epoch: int | None = None  # the one that was not finished, from 1


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
    failure: RunFailure | None = None
