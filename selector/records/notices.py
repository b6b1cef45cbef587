"""What is told to the outside when a run ends or a champion is replaced."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from selector.records.aliases import Goal, Scalar
from selector.records.results import TrialCounts

NoticeKind = Literal["finish", "failure", "swap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The best candidate of a study's search when the notice was written."""

    trial: int
    backbone: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened to a study, told once.

    `details` has what only one kind has, such as the old and the new champion of a swap.
    """

    kind: NoticeKind
    study: str
    reason: str
    metric: str
    goal: Goal
    run: int | None = None
    error: str | None = None
    trials: TrialCounts | None = None
    best: BestTrial | None = None
    details: Mapping[str, Scalar] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
