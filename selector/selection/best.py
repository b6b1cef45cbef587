"""The order of candidates, the best of them where no interval is asked for, and the references."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

from selector.records import Goal, TrialOutcome, TrialRow

AnyTrial = TypeVar("AnyTrial", TrialRow, TrialOutcome)


def best_candidate(trials: Iterable[AnyTrial], *, goal: Goal) -> AnyTrial | None:
    """The completed trial that leads the leaderboard of the study's metric; None without any."""
    complete = [t for t in trials if t.state == "complete" and t.score is not None]
    return min(complete, key=lambda t: order(t, t.score or 0.0, goal=goal), default=None)


def order(trial: TrialRow | TrialOutcome, value: float, *, goal: Goal) -> tuple[float, float, int]:
    """A key that sorts the better value first, of equals the smaller network, then the earlier."""
    size = math.inf if trial.parameters is None else trial.parameters
    return (-value if goal == "maximize" else value, size, trial.number)


def references(trials: Sequence[TrialRow | TrialOutcome]) -> tuple[int, ...]:
    """The user's own recipes and the first configuration of all, as far as they could be trained.

    The first of them is what the pick is measured against.
    """
    trained = [trial for trial in trials if trial.state in ("complete", "pruned")]
    own = [trial.number for trial in trained if trial.origin == "start_from"]
    return tuple(dict.fromkeys([*own, *(trial.number for trial in trained[:1])]))
