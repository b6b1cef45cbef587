"""The champion of a study: what is shipped now, how it came to be, and who it was held against."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selector.records.aliases import Goal

# `first`, `swap`, `kept` and `undecided` are decisions of a renewal, the others are made by hand.
PromotionAction = Literal["first", "swap", "kept", "undecided", "by_hand", "rollback"]
RenewalOutcome = Literal["first", "swap", "kept", "undecided", "unchanged", "busy"]
UNDECIDED = 1  # exit code: it ran, but a person has to say what becomes of the champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One stored study of a family: the same study file on the data of one time.

    The first edition is the study itself; the next ones are called `NAME.e2`, `NAME.e3`, ...
    """

    name: str  # of the family: that of the study file
    number: int  # from 1
    study: str  # its name in the store
    fingerprint: str  # of its data


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A candidate that was exported to be shipped; `bundle` lies below the artifacts folder."""

    id: int
    name: str  # of the family
    study: str  # the edition that trained it
    trial: int
    bundle: str
    fingerprint: str  # of the data that it was trained on
    made_at: dt.datetime

    def folder(self, artifacts: Path) -> Path:
        """Where the bundle lies, given the artifacts folder of this machine."""
        return (artifacts / self.bundle).absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChampion:
    """A bundle that passed the gate, before it is on record.

    `trained_on` has the marks of every sample that the network was trained on.
    """

    study: str
    trial: int
    bundle: str
    fingerprint: str
    trained_on: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Champion and challenger on the same validation samples, which neither was trained on.

    `difference` is challenger - champion in the metric's natural sign, with its 95% interval and
    paired two-sided p-value. `tied` says whether the champion, entered among all candidates, cannot
    be told from their leader. `excluded` samples were left out, for the champion was trained on
    them.
    """

    metric: str
    goal: Goal
    samples: int
    excluded: int
    champion_score: float
    challenger_score: float
    difference: float
    low: float
    high: float
    p_value: float
    tied: bool

    @property
    def gain(self) -> float:
        """By how much the challenger is better; below 0 where it is worse."""
        return self.difference if self.goal == "maximize" else -self.difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be put on record about a champion, and why."""

    action: PromotionAction
    study: str  # the edition, and the trial of it, that the decision is about
    trial: int
    reason: str
    who: str  # user@host
    challenge: Challenge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One line of the history: a decision, and the champion before and after it."""

    number: int  # from 1, within the family
    name: str
    decision: Decision
    champion: Champion
    previous: Champion | None
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What one scheduled run came to, said in one line by `reason`."""

    name: str
    outcome: RenewalOutcome
    reason: str
    edition: str | None = None  # the study in the store
    champion: Champion | None = None  # after it
    challenge: Challenge | None = None
