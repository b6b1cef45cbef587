"""When a study ends."""

from __future__ import annotations

from typing import Literal

import pytest

from selector.records import TrialOutcome, TrialState
from selector.search.budget import covered_seconds, epochs_left, stop_reason, trials_left
from selector.spec.schema import BudgetSpec


def row(
    number: int, state: TrialState, score: float | None = None, epochs: int = 2
) -> TrialOutcome:
    return TrialOutcome(number=number, state=state, score=score, epochs=epochs, parameters=None)


def reason(
    budget: BudgetSpec,
    trials: list[TrialOutcome],
    *,
    seconds: float = 0.0,
    limit: int | None = None,
    goal: Literal["maximize", "minimize"] = "maximize",
) -> str | None:
    return stop_reason(budget, trials, goal=goal, seconds=seconds, limit=limit)


def test_a_running_trial_counts_and_a_waiting_one_does_not() -> None:
    budget = BudgetSpec(trials=2)
    assert reason(budget, [row(0, "complete"), row(1, "running")]) == "2 trials"
    assert reason(budget, [row(0, "complete"), row(1, "waiting")]) is None


@pytest.mark.parametrize(
    ("budget", "seconds", "expected"),
    [
        (BudgetSpec(time=60.0), 59.0, None),
        (BudgetSpec(time=60.0), 60.0, "time"),
        (BudgetSpec(total_epochs=6), 0.0, "6 epochs in total"),
        (BudgetSpec(target=0.9), 0.0, "target 0.9 reached"),
        (BudgetSpec(patience=2), 0.0, "2 trials without a better score"),
        (BudgetSpec(patience=3), 0.0, None),
    ],
)
def test_each_limit_ends_the_study(
    budget: BudgetSpec, seconds: float, expected: str | None
) -> None:
    trials = [row(0, "complete", 0.95), row(1, "pruned", 0.99), row(2, "complete", 0.5)]
    assert reason(budget, trials, seconds=seconds) == expected


def test_failures_count_only_in_a_row() -> None:
    budget = BudgetSpec(failures=2)
    assert reason(budget, [row(0, "failed"), row(1, "complete", 1.0), row(2, "failed")]) is None
    assert reason(budget, failing := [row(0, "failed"), row(1, "failed")]) is not None
    assert "2 failures in a row" in str(reason(budget, failing))


def test_failures_of_earlier_runs_are_forgiven() -> None:
    trials = [row(0, "failed"), row(1, "failed")]
    budget = BudgetSpec(failures=2)
    kept = stop_reason(
        budget, trials, goal="maximize", seconds=0.0, limit=None, forgiven=frozenset({0, 1})
    )
    assert kept is None


def test_running_trials_reserve_their_epochs() -> None:
    budget = BudgetSpec(epochs=4, total_epochs=10)
    assert epochs_left(budget, [row(0, "running"), row(1, "running")]) == 2
    trials = [row(0, "running"), row(1, "running"), row(2, "complete", epochs=2)]
    assert reason(budget, trials) == "10 epochs in total"


def test_overlapping_runs_cover_their_time_once() -> None:
    assert covered_seconds([(0.0, 10.0), (5.0, 12.0), (20.0, 21.0)]) == 13.0
    assert covered_seconds([]) == 0.0


def test_target_of_a_minimized_metric_is_reached_from_above() -> None:
    trials = [row(0, "complete", 0.3)]
    assert reason(BudgetSpec(target=0.2), trials, goal="minimize") is None
    assert reason(BudgetSpec(target=0.4), trials, goal="minimize") == "target 0.4 reached"


def test_a_grid_ends_with_its_last_cell() -> None:
    trials = [row(0, "complete"), row(1, "complete")]
    assert reason(BudgetSpec(trials=10), trials, limit=2) == "all 2 grid cells"


def test_the_last_trial_gets_only_the_epochs_that_are_left() -> None:
    budget = BudgetSpec(epochs=10, total_epochs=15)
    assert epochs_left(budget, [row(0, "complete", epochs=9)]) == 6
    assert epochs_left(BudgetSpec(epochs=10), [row(0, "complete", epochs=9)]) == 10


def test_trials_left_count_down_to_the_budget_or_the_end_of_the_grid() -> None:
    rows = [row(0, "complete"), row(1, "failed"), row(2, "running"), row(3, "waiting")]
    assert trials_left(BudgetSpec(trials=10), rows, limit=None) == 7
    assert trials_left(BudgetSpec(trials=10), rows, limit=4) == 1
    assert trials_left(BudgetSpec(trials=2), rows, limit=None) == 0
