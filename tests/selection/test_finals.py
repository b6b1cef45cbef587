"""Who gets into the finals, what order they leave, and how the pick is explained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from selector.records import FinalRun, Finals, Heat, TrialRow
from selector.selection import finals
from selector.selection.best import references
from tests.selection.conftest import MadeUp, make_up

MakeTrial = Callable[..., TrialRow]


def evidence(
    accuracies: Sequence[float],
    *,
    seeds: int = 3,
    folds: int = 1,
    n: int = 300,
    seed: int = 0,
    failed: Sequence[int] = (),
) -> tuple[MadeUp, finals.Evidence]:
    """A study of one candidate an accuracy, and runs of each: `failed` ones left nothing."""
    searched = make_up(accuracies, n=n, classes=2, metric="accuracy", seed=seed)
    runs, predictions = [], {}
    heats = finals.heats(range(len(accuracies)), seed=0, seeds=seeds, folds=folds)
    for number, heat in enumerate(heats):
        # Draws of their own for every run, as trainings with other seeds have.
        again = make_up(
            [accuracies[heat.finalist]],
            n=n,
            classes=2,
            metric="accuracy",
            seed=seed * 10_000 + number + 1,
        )
        lost = number in failed
        runs.append(
            FinalRun(
                number=number,
                heat=heat,
                state="failed" if lost else "complete",
                score=None if lost else again.trials[0].score,
                seconds=1.0,
            )
        )
        if not lost:
            predictions[number] = again.predictions[0]
    labels = np.tile(searched.study.data.validation_labels, folds)
    return searched, finals.Evidence(runs, predictions, labels, [n] * folds)


def held(searched: MadeUp, found: finals.Evidence, *, seeds: int = 3) -> Finals:
    return finals.standings(
        searched.study, searched.trials, found, seed=0, seeds=seeds, decided=True
    )


def test_leaders_are_those_tied_with_the_best_and_no_more_than_asked_for() -> None:
    searched = make_up([0.8, 0.8, 0.8, 0.8, 0.3], metric="accuracy", classes=2)
    board = searched.build()
    leaders = [row.trial for row in board.candidates if row.tied_with_best]
    assert len(leaders) > 2 and 4 not in leaders  # the premise

    assert finals.finalists(board, searched.trials, top=2)[:2] == tuple(leaders[:2])
    assert set(finals.finalists(board, searched.trials, top=5)) == {*leaders, 0}


def test_references_enter_whatever_they_scored(make_trial: MakeTrial) -> None:
    searched = make_up([0.2, 0.9, 0.3], metric="accuracy", classes=2)
    trials = (
        searched.trials[0],
        searched.trials[1],
        make_trial(2, 0.3, origin="start_from", state="pruned"),
    )
    assert finals.finalists(searched.build(), trials, top=1) == (1, 2, 0)


def test_a_first_configuration_that_failed_is_no_reference(make_trial: MakeTrial) -> None:
    trials = (make_trial(0, None, state="failed"), make_trial(1, 0.5), make_trial(2, 0.6))
    assert references(trials) == (1,)


def test_who_was_a_finalist_before_stays_one() -> None:
    searched = make_up([0.5, 0.9, 0.3], metric="accuracy", classes=2)
    assert finals.finalists(searched.build(), searched.trials, top=1, earlier=[2]) == (1, 0, 2)


def test_nobody_is_ahead_where_the_finals_stop() -> None:
    assert finals.heats([7, 3], seed=5, seeds=2, folds=2) == (
        Heat(7, 6, 0),
        Heat(3, 6, 0),
        Heat(7, 6, 1),
        Heat(3, 6, 1),
        Heat(7, 7, 0),
        Heat(3, 7, 0),
        Heat(7, 7, 1),
        Heat(3, 7, 1),
    )


def test_finalists_come_in_order_of_their_means_with_their_spread() -> None:
    searched, found = evidence([0.6, 0.9, 0.62])
    result = held(searched, found)

    best = result.finalists[0]
    assert best.trial == 1
    scores = [run.score or 0.0 for run in found.runs if run.heat.finalist == 1]
    assert best.scores == tuple(scores)
    assert best.mean == pytest.approx(np.mean(scores))
    assert best.sd == pytest.approx(np.std(scores, ddof=1))
    assert best.ci_low < best.mean < best.ci_high
    assert [row.tied_with_best for row in result.finalists] == [True, False, False]
    assert [row.reference for row in result.finalists if row.trial == 0] == [True]


def test_folds_are_scored_each_on_its_own_samples() -> None:
    searched, found = evidence([0.6, 0.9], seeds=2, folds=3)
    result = held(searched, found, seeds=2)

    assert result.folds == 3
    assert result.samples == 900
    assert all(len(row.scores) == 6 for row in result.finalists)
    assert result.finalists[0].trial == 1 and not result.finalists[1].tied_with_best


def test_more_spread_between_seeds_makes_the_interval_wider() -> None:
    def width(shift: float) -> float:
        searched, found = evidence([0.7, 0.7])
        runs = [
            FinalRun(
                number=run.number,
                heat=run.heat,
                state=run.state,
                score=(run.score or 0) + shift * (run.heat.seed - 2),
                seconds=1.0,
            )
            for run in found.runs
        ]
        changed = finals.Evidence(runs, found.predictions, found.labels, found.fold_sizes)
        row = held(searched, changed).finalists[0]
        return row.ci_high - row.ci_low

    assert width(0.1) > 1.5 * width(0.0)


def test_finalists_that_are_equal_are_called_tied() -> None:
    """At the 95% level; at least 93 of 100 studies leave room for the simulation's own error."""
    tied = 0
    for seed in range(100):
        searched, found = evidence([0.8] * 3, n=200, seed=seed + 1)
        tied += all(row.tied_with_best for row in held(searched, found).finalists)
    assert tied >= 93


def test_a_finalist_that_failed_once_stands_behind_those_that_never_did() -> None:
    searched, found = evidence([0.95, 0.6], failed=[0])
    result = held(searched, found)

    assert [row.trial for row in result.finalists] == [1, 0]
    assert result.finalists[1].failed == 1 and math.isnan(result.finalists[1].ci_low)
    pick, reason = finals.choose(result, {0, 1})
    assert pick == 1
    assert "trial 0 (" in reason and "did not complete all its runs" in reason


def test_the_reason_says_what_is_noise_and_what_is_not() -> None:
    searched, found = evidence([0.6, 0.9, 0.9])
    pick, reason = finals.choose(held(searched, found), {0, 1, 2})

    runner_up = 3 - (pick or 0)
    assert reason.startswith("best mean accuracy over 3 runs (0.")
    assert f"the runner-up, trial {runner_up} (" in reason and "is within noise" in reason
    assert "the reference, trial 0 (" in reason and "is worse beyond noise" in reason


def test_one_seed_owns_up_to_what_it_cannot_say() -> None:
    searched, found = evidence([0.6, 0.9], seeds=1)
    _, reason = finals.choose(held(searched, found, seeds=1), {0, 1})
    assert "the runner-up and reference, trial 0 (" in reason
    assert reason.endswith("one run each says nothing about the luck of training")


def test_what_was_pruned_in_the_search_cannot_be_the_pick() -> None:
    searched, found = evidence([0.95, 0.6])
    searched = replace(
        searched, trials=(replace(searched.trials[0], state="pruned"), searched.trials[1])
    )
    pick, reason = finals.choose(held(searched, found), {1})
    assert pick == 1
    assert "trial 0 scored higher, but was pruned in the search" in reason


def test_a_candidate_without_its_checkpoint_is_no_pick_and_the_reason_says_so() -> None:
    searched, found = evidence([0.95, 0.6])
    pick, reason = finals.choose(held(searched, found), {1})
    assert pick == 1
    assert "trial 0 scored higher, but its checkpoint was not kept" in reason


def test_only_who_has_a_checkpoint_is_a_leader_for_the_pick_is_to_be_shipped(
    make_trial: MakeTrial,
) -> None:
    searched = make_up([0.3, 0.8, 0.8, 0.8], metric="accuracy", classes=2)
    gone, *left = [r.trial for r in searched.build().candidates if r.tied_with_best]
    assert left  # the premise
    trials = tuple(
        replace(each, checkpoint=None) if each.number == gone else each for each in searched.trials
    )
    board = replace(searched, trials=trials).build()
    assert finals.finalists(board, trials, top=3) == (*left, 0)


def test_without_a_finalist_to_ship_there_is_no_pick() -> None:
    searched, found = evidence([0.9, 0.6])
    assert finals.choose(held(searched, found), set())[0] is None
