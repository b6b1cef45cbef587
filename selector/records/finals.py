"""Finals, their verdict, and what the test set said when it was opened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from selector.records.aliases import Goal, Scalar, TrialState

OpenedRole = Literal["pick", "reference"]


@dataclass(frozen=True, slots=True)
class Heat:
    """One training of the finals: which trial of the search, with which seed, on which fold."""

    finalist: int
    seed: int
    fold: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRun:
    """A heat as the store knows it, under its number in the study of the finals."""

    number: int
    heat: Heat
    state: TrialState
    score: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFinals:
    """The finals of a study: where they are kept, and the pick once they have ended.

    `fold_sizes` are the numbers of validation samples of the folds, one for the study's own split;
    `labels` of the finals' own study lie one fold after the other.
    """

    name: str  # the study that the heats are trials of
    fold_sizes: tuple[int, ...]
    pick: int | None  # a trial of the search
    reason: str | None
    decided_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A candidate of the search, trained again: its mean over all runs, and how sure that is.

    `sd` is the standard deviation of its runs' scores, NaN for a single run.
    """

    rank: int
    trial: int
    backbone: str
    params: Mapping[str, Scalar]
    reference: bool
    search_score: float | None
    mean: float
    sd: float
    ci_low: float
    ci_high: float
    tied_with_best: bool
    scores: tuple[float, ...]  # in order of seeds, then folds
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The pick and why; scores are those of the network that is kept for it."""

    trial: int
    reason: str
    validation_score: float
    test_score: float | None = None
    after_opening: bool = False  # chosen when the test split had been opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Finals:
    """The finals of one study on the study's own metric; finalists in order of their means."""

    metric: str
    goal: Goal
    seeds: int
    folds: int | None
    samples: int  # of validation, in all folds together
    finalists: tuple[Finalist, ...]
    decided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedScore:
    """What one stored network scores on the test split, beside its validation score."""

    trial: int
    role: OpenedRole
    validation_score: float
    test_score: float
    ci_low: float
    ci_high: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningStart:
    """Somebody is about to look at the test split."""

    study: str
    trial: int
    who: str
    why: str
    fingerprint: str
    samples: int
    no_reference: str | None = None  # why none is scored beside the pick


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One look at the test split; without scores it ended before anybody learned anything.

    It stays when its study is deleted, and is then none of a later study of the same name.
    `no_reference` says in words why no reference was scored beside the pick.
    """

    id: int
    study: str
    trial: int
    who: str
    why: str
    fingerprint: str
    samples: int
    opened_at: dt.datetime
    scores: tuple[OpenedScore, ...]
    no_reference: str | None = None
    study_deleted: bool = False

    def is_by(self, study: str) -> bool:
        """Whether the study of this name that is in the store now looked."""
        return self.study == study and not self.study_deleted
