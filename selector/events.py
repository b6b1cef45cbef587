"""What happens during a run, for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from selector.records import DataAudit, Goal, Heat, Opening, Origin, Scalar, SplitName, TrialCounts

PrefixOutcome = Literal["hit", "filled", "declined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProgress:
    """Images read, checked or decoded so far (or networks measured), under a label for people."""

    done: int
    total: int
    label: str
    unit: str = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReady:
    """Everything is checked and stored; trials begin."""

    study: str
    store: str  # without password
    device: str
    metric: str
    goal: Goal
    epochs: int
    trials: int  # the budget
    earlier: TrialCounts
    best_score: float | None
    counts: Mapping[SplitName, int]
    classes: int
    backbones: tuple[str, ...]
    audit: DataAudit = field(default_factory=DataAudit)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyChanged:
    """The study file, data, weights or code are no longer those of the earlier runs.

    `wider` has what the search space gained, `accepted` what was changed on purpose,
    `made_otherwise` packages and code that are others than in the last run; a line each.
    """

    version: int  # of the search space
    wider: tuple[str, ...]
    accepted: tuple[str, ...]
    made_otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealBroken:
    """The test split was opened before this run, for this study or another on the same data."""

    opening: Opening  # the first one that told anything


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChecked:
    """Networks were held against the study's limits: one line for each that is not trained."""

    left_out: tuple[str, ...]
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelEnded:
    """The backbones were looked at before the first trial.

    `order` has the measured ones, the most promising first; `missing` says for each of the others
    why it was not measured.
    """

    order: tuple[str, ...]
    missing: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryChosen:
    """So many recipes of these earlier studies are among the first trials."""

    recipes: int
    studies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionBegun:
    """A renewal searches in this stored study: begun now, or gone on with."""

    study: str
    edition: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A worker took a trial."""

    number: int
    backbone: str
    params: Mapping[str, Scalar]
    origin: Origin
    heat: Heat | None = None  # of the finals
    folds: int = 0  # of the finals; none where they train on the study's own split


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialNote:
    """A line about a trial: where it goes on or why it starts over, what it makes do with."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixUsed:
    """A trial asked the cache for what its frozen stages make of one view of a split's images.

    `outcome` says whether it was there, was computed and kept now, or is not worth keeping.
    `seconds` is the time of asking, `bytes` the size of what the trial reads.
    """

    backbone: str
    freeze_depth: int
    view: int
    outcome: PrefixOutcome
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsFused:
    """A linear probe is trained together with those of trials to come; `heads` counts them all."""

    backbone: str
    heads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """One epoch of a running trial."""

    number: int
    epoch: int
    epochs: int
    score: float
    best_score: float
    seconds: float
    train_loss: float | None = None
    validation_loss: float | None = None
    lr: float | None = None  # at the end of the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial ended; `counts` are those of the study after it, `metrics` a candidate's own."""

    number: int
    backbone: str
    state: Literal["complete", "pruned", "failed"]
    score: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    failure: str | None
    counts: TrialCounts
    best_score: float | None
    best_trial: int | None
    heat: Heat | None = None  # of the finals
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    folds: int = 0  # of the finals; none where they train on the study's own split


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalsReady:
    """The search is over; its best candidates and the references are trained again."""

    finalists: tuple[int, ...]  # trials of the search
    seeds: int
    folds: int | None
    runs: int  # in all
    earlier: TrialCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalsEnded:
    """The finals are decided; without a pick, none of them can be shipped."""

    pick: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLost:
    """A trial was handed out again because its worker was not heard of; what it had is dropped."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSilent:
    """The store does not answer a worker; training goes on and what it reports is kept.

    With `waits` nothing is trained here yet, or any more: the worker waits for the store.
    """

    reason: str
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAnswers:
    """The store answers that worker again, after as many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNote:
    """A line that a worker in another process printed, or what became of that worker."""

    worker: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFailed:
    """A webhook or command of the study file could not be told how the run ended."""

    target: str  # a program, or a URL without what may be secret in it
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterFailed:
    """A writer of the study file gave up; it is told nothing more in this run."""

    writer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleNote:
    """A line of the scheduler, about the study that it is reported for or about them all."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingProgress:
    """Candidates that were scored on all resamples so far."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """No further trial starts, for the given reason."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused:
    """A run ended for something that somebody has to put right; no trial was lost with it."""

    study: str
    cause: str  # as in RunFailure
    trial: int | None


Event = (
    DataProgress
    | RunReady
    | StudyChanged
    | SealBroken
    | LimitsChecked
    | FunnelEnded
    | HistoryChosen
    | EditionBegun
    | TrialStarted
    | TrialNote
    | PrefixUsed
    | HeadsFused
    | EpochEnded
    | TrialEnded
    | TrialLost
    | StoreSilent
    | StoreAnswers
    | WorkerNote
    | FinalsReady
    | FinalsEnded
    | NoticeFailed
    | WriterFailed
    | RankingProgress
    | ScheduleNote
    | RunEnded
    | RunPaused
)
Observer = Callable[[Event], None]


def nobody(event: Event) -> None:
    """Nobody watches."""
