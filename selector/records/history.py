"""What a study took over from earlier ones, and what that was worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selector.records.aliases import Goal, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatistics:
    """What a sample of a data set's training images looks like, before any resizing.

    Width and height are medians in pixels; `mean` and `sd` are of red, green and blue in 0 to 1.
    """

    images: int  # looked at
    width: float
    height: float
    mean: tuple[float, float, float]
    sd: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """A recipe of an earlier study that is among the first trials of another one."""

    study: str
    trial: int
    score: float  # there
    distance: float | None  # of the data; None where the study was named
    params: Mapping[str, Scalar]  # as they are tried here


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAudit:
    """The reused recipes beside what came of them here, and what the study's own first trials did.

    `best_reused` and `best_own` are of equally many trials, `compared` of each; None before both
    have a score. A trial is None before it was taken, a score where it has none.
    """

    metric: str
    goal: Goal
    reused: tuple[Reused, ...]
    trials: tuple[int | None, ...]
    scores: tuple[float | None, ...]
    compared: int
    best_reused: float | None
    best_own: float | None

    @property
    def gain(self) -> float | None:
        """By how much the reused ones were better; below 0 where they were worse."""
        if self.best_reused is None or self.best_own is None:
            return None
        gap = self.best_reused - self.best_own
        return gap if self.goal == "maximize" else -gap
