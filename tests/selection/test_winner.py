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
