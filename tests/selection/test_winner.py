"""What picking the best of many does to its score, and how often each candidate leads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from selector.selection.winner import expected_after_selection, probability_best


def test_the_share_of_leads_is_split_between_equals() -> None:
    scores = np.array([[1.0, 0.0, 1.0, 0.5], [0.0, 1.0, 1.0, 0.0]])
    assert probability_best(scores, maximize=True).tolist() == [0.625, 0.375]
    assert probability_best(scores, maximize=False).tolist() == [0.375, 0.625]


def test_a_single_candidate_is_expected_to_score_what_it_scored() -> None:
    scores = np.random.default_rng(0).normal(0.8, 0.01, (1, 2000))
    assert expected_after_selection(scores, np.array([0.8]), maximize=True) == pytest.approx(0.8)


def test_a_clear_winner_keeps_its_score_and_the_best_of_equals_loses_some() -> None:
    scores = np.random.default_rng(0).normal(0, 0.01, (20, 2000))
    clear = np.array([0.9] + [0.5] * 19)
    equal = np.full(20, 0.8)
    assert expected_after_selection(scores + clear[:, None], clear, maximize=True) == pytest.approx(
        0.9, abs=1e-3
    )
    # All scored the same, so that picking any of them was luck.
    assert 0.77 < expected_after_selection(scores + equal[:, None], equal, maximize=True) < 0.79
    assert 0.81 < expected_after_selection(scores + equal[:, None], equal, maximize=False) < 0.83


def test_the_board_says_what_the_pick_is_worth(made_up: Callable[..., Any]) -> None:
    board = made_up([0.8] * 10, n=300).build()
    assert board.pick.trial == board.candidates[0].trial
    assert (board.pick.compared, board.pick.score) == (10, board.candidates[0].score)
    assert board.pick.expected_score < board.pick.score
    shares = [row.probability_best for row in board.candidates]
    assert sum(shares) == pytest.approx(1)
    assert board.candidates[0].probability_best == max(shares)
    assert replace(made_up([0.8]), predictions={}).build().pick is None


def test_every_candidate_knows_how_far_it_is_behind(made_up: Callable[..., Any]) -> None:
    for metric in ("f1_macro", "log_loss"):
        board = made_up([0.9, 0.7], n=600, metric=metric).build()
        first, second = board.candidates
        assert (first.behind, first.behind_low, first.behind_high) == (0, 0, 0)
        assert second.behind == pytest.approx(abs(first.score - second.score))
        assert 0 < second.behind_low < second.behind < second.behind_high
    lonely = replace(made_up([0.9, 0.7]), predictions={}).build()
    assert all(math.isnan(row.behind) for row in lonely.candidates)


@pytest.mark.parametrize("copies", [1, 5, 20])
def test_copies_of_one_candidate_make_its_score_no_luckier(
    made_up: Callable[..., Any], copies: int
) -> None:
    one = made_up([0.8], n=200)
    predictions = dict.fromkeys(range(copies), one.predictions[0])
    trials = tuple(replace(one.trials[0], number=number) for number in range(copies))
    board = replace(one, trials=trials, predictions=predictions).build()
    assert board.pick.expected_score == pytest.approx(board.pick.score, abs=1e-3)


@pytest.mark.parametrize("copies", [1, 5, 20])
def test_of_a_faultless_pick_nothing_is_promised_however_many_there_are(
    made_up: Callable[..., Any], copies: int
) -> None:
    board = made_up([1.0] * copies + [0.5], n=60).build()
    assert board.pick.score == 1.0
    assert math.isnan(board.pick.expected_score)


def test_a_candidate_that_always_says_the_same_corrects_no_other(
    made_up: Callable[..., Any],
) -> None:
    alone = made_up([0.9], n=200, classes=2, metric="accuracy")
    constant = np.log(np.tile(np.float32([0.6, 0.4]), (200, 1)))
    trials = [alone.trials[0]]
    predictions = dict(alone.predictions)
    for number in range(1, 30):
        trials.append(replace(alone.trials[0], number=number, score=0.5))
        predictions[number] = constant
    board = replace(alone, trials=tuple(trials), predictions=predictions).build()
    assert board.pick.expected_score == pytest.approx(board.pick.score, abs=1e-3)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "ece"])
def test_the_corrected_score_is_nearer_to_the_truth_and_never_far_on_the_other_side(
    made_up: Callable[..., Any], metric: str
) -> None:
    """Ten equal candidates a study, so that their mean over all studies is the truth."""
    picked, expected, scores = [], [], []
    for seed in range(20):
        board = made_up([0.8] * 10, n=150, classes=2, seed=seed, metric=metric).build()
        sign = 1 if board.goal == "maximize" else -1
        picked.append(sign * board.pick.score)
        expected.append(sign * board.pick.expected_score)
        scores += [sign * row.score for row in board.candidates]
    truth = np.mean(scores)
    naive, corrected = np.mean(picked) - truth, np.mean(expected) - truth
    assert naive > 0
    assert -0.1 * naive < corrected < 0.5 * naive
