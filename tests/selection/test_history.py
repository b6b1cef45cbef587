"""Which recipes are worth another try, and whether they were."""

from __future__ import annotations

from dataclasses import replace

from selector.records import Reused, TrialRow
from selector.selection.history import audit_history, worth_another_try
from tests.selection.conftest import make_up

MADE = make_up([0.5] * 6)


def trials(*rows: tuple[str, float]) -> list[TrialRow]:
    """Completed trials by backbone and score."""
    return [
        replace(MADE.trials[number], backbone=backbone, score=score)
        for number, (backbone, score) in enumerate(rows)
    ]


def test_the_best_of_every_backbone_comes_before_the_second_best_of_any() -> None:
    rows = trials(("a", 0.9), ("a", 0.89), ("b", 0.7), ("a", 0.88), ("b", 0.6))
    found = worth_another_try(rows, goal="maximize")
    assert [trial.number for trial in found] == [0, 2, 1, 4, 3]
    down = worth_another_try(rows, goal="minimize")
    assert [trial.number for trial in down] == [4, 3, 2, 1, 0]


def test_what_was_shipped_comes_first_and_only_once() -> None:
    rows = trials(("a", 0.9), ("a", 0.8), ("b", 0.7))
    found = worth_another_try(rows, goal="maximize", first=(1, 1, 99))
    assert [trial.number for trial in found] == [1, 2, 0]


def test_pruned_and_failed_trials_are_not_worth_it() -> None:
    rows = [replace(row, state="pruned") for row in trials(("a", 0.9))]
    assert worth_another_try(rows, goal="maximize") == ()


def _seeded(scores: list[tuple[str, float | None]]) -> list[TrialRow]:
    return [
        replace(MADE.trials[n], origin=origin, score=score)
        for n, (origin, score) in enumerate(scores)
    ]


ONE = Reused(study="weeds", trial=4, score=0.9, distance=0.1, params={"backbone": "a"})


def test_reused_recipes_are_held_against_as_many_first_trials_of_the_study_itself() -> None:
    rows = _seeded(
        [("history", 0.7), ("history", 0.6), ("recipe", 0.5), ("startup", 0.65), ("sampler", 0.99)]
    )
    found = audit_history(MADE.study, [ONE, ONE], rows)
    assert found is not None
    assert (found.compared, found.best_reused, found.best_own) == (2, 0.7, 0.65)
    assert found.gain is not None and abs(found.gain - 0.05) < 1e-9
    assert found.trials == (0, 1) and found.scores == (0.7, 0.6)


def test_before_both_sides_have_a_score_nothing_is_said() -> None:
    found = audit_history(MADE.study, [ONE, ONE], _seeded([("history", None)]))
    assert found is not None and found.gain is None and found.compared == 0
    assert found.trials == (0, None)
    assert audit_history(MADE.study, [], _seeded([("recipe", 0.5)])) is None
