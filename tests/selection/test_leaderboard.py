"""Who is a candidate, and in which order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from selector.errors import InputError, UnknownNameError
from selector.selection import best_candidate


def test_candidates_come_best_first(made_up: Callable[..., Any]) -> None:
    board = made_up([0.5, 0.9, 0.7]).build()
    assert [row.trial for row in board.candidates] == [1, 2, 0]
    assert [row.rank for row in board.candidates] == [1, 2, 3]
    assert (board.metric, board.goal) == ("f1_macro", "maximize")


def test_a_minimized_metric_is_ranked_from_below_in_its_own_sign(
    made_up: Callable[..., Any],
) -> None:
    board = made_up([0.5, 0.9, 0.7], metric="log_loss").build()
    assert [row.trial for row in board.candidates] == [1, 2, 0]
    assert all(row.score > 0 for row in board.candidates)


def test_another_metric_brings_its_own_goal(made_up: Callable[..., Any]) -> None:
    board = made_up([0.5, 0.9, 0.7]).build("log_loss")
    assert (board.metric, board.goal) == ("log_loss", "minimize")
    assert board.candidates[0].trial == 1
    assert board.candidates[0].score == board.candidates[0].metrics["log_loss"]


@pytest.mark.parametrize("state", ["pruned", "failed", "running", "waiting"])
def test_what_is_not_complete_is_no_candidate(made_up: Callable[..., Any], state: str) -> None:
    study = made_up([0.5, 0.9])
    trials = (study.trials[0], replace(study.trials[1], state=state))
    board = replace(study, trials=trials).build()
    assert [row.trial for row in board.candidates] == [0]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_a_score_that_is_no_number_never_ranks(
    made_up: Callable[..., Any], score: float | None
) -> None:
    study = made_up([0.5, 0.9])
    trials = (study.trials[0], replace(study.trials[1], score=score))
    assert [row.trial for row in replace(study, trials=trials).build().candidates] == [0]


def test_equal_scores_go_to_the_smaller_network_then_to_the_earlier_trial(
    made_up: Callable[..., Any], make_trial: Callable[..., Any]
) -> None:
    study = made_up([0.5])
    trials = (
        make_trial(0, 0.5, parameters=200),
        make_trial(1, 0.5, parameters=100),
        make_trial(2, 0.5, parameters=100),
        make_trial(3, 0.5, parameters=None),
    )
    board = replace(study, trials=trials, predictions={}).build()
    assert [row.trial for row in board.candidates] == [1, 2, 0, 3]
    assert best_candidate(trials, goal="maximize") == trials[1]
    assert best_candidate(trials, goal="minimize") == trials[1]


def test_a_study_without_candidates_has_an_empty_leaderboard(made_up: Callable[..., Any]) -> None:
    board = replace(made_up([0.5]), trials=()).build()
    assert board.candidates == ()
    assert best_candidate((), goal="maximize") is None


def test_a_candidate_without_predictions_has_no_interval_and_no_tie(
    made_up: Callable[..., Any],
) -> None:
    study = made_up([0.8, 0.8])
    board = replace(study, predictions={0: study.predictions[0]}).build()
    row = next(row for row in board.candidates if row.trial == 1)
    assert math.isnan(row.ci_low)
    assert math.isnan(row.ci_high)
    assert not row.tied_with_best


def test_an_unknown_metric_lists_the_known_ones(made_up: Callable[..., Any]) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'f1_macro'"):
        made_up([0.5]).build("f1_marco")


def test_a_metric_that_the_study_never_recorded_is_refused(made_up: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="'f1_binary' was not recorded for study 'made-up'"):
        made_up([0.5]).build("f1_binary")


def test_a_binary_metric_knows_its_positive_class(made_up: Callable[..., Any]) -> None:
    study = made_up([0.7, 0.9], classes=2, metric="f1_binary", positive="class 1")
    board = study.build()
    assert board.candidates[0].trial == 1
    assert all(row.ci_low < row.score < row.ci_high for row in board.candidates)


def test_the_same_study_gives_the_same_leaderboard(made_up: Callable[..., Any]) -> None:
    assert made_up([0.5, 0.9]).build() == made_up([0.5, 0.9]).build()


def test_forty_candidates_are_ranked_while_one_blinks(made_up: Callable[..., Any]) -> None:
    study = made_up([0.8] * 40, classes=10)
    started = time.process_time()
    study.build()
    assert time.process_time() - started < 1.0  # 0.1 s on an idle core
