"""Equal candidates are tied, clearly better ones are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from selector.selection.ties import tied_with_best


def test_a_single_candidate_is_tied_with_itself() -> None:
    assert tied_with_best(np.ones((1, 10)), np.ones(1), maximize=True).tolist() == [True]


def test_equal_predictions_are_tied(made_up: Callable[..., Any]) -> None:
    study = made_up([0.8, 0.8, 0.3])
    twins = (study.trials[0], replace(study.trials[0], number=1), study.trials[2])
    predictions = {0: study.predictions[0], 1: study.predictions[0], 2: study.predictions[2]}
    board = replace(study, trials=twins, predictions=predictions).build()
    assert [(row.trial, row.tied_with_best) for row in board.candidates] == [
        (0, True),
        (1, True),
        (2, False),
    ]


def test_a_gap_without_any_noise_is_no_tie() -> None:
    scores = np.array([[0.9] * 10, [0.8] * 10])
    assert tied_with_best(scores, np.array([0.9, 0.8]), maximize=True).tolist() == [True, False]


@pytest.mark.parametrize("metric", ["f1_macro", "log_loss"])
def test_truly_equal_candidates_are_all_tied_in_19_of_20_studies(
    made_up: Callable[..., Any], metric: str
) -> None:
    boards = [made_up([0.8] * 8, n=400, seed=seed, metric=metric).build() for seed in range(60)]
    all_tied = np.mean([all(row.tied_with_best for row in b.candidates) for b in boards])
    assert all_tied >= 0.9


def test_a_candidate_ahead_by_seven_points_stands_alone(made_up: Callable[..., Any]) -> None:
    alone = 0
    for seed in range(20):
        board = made_up([0.87, *[0.8] * 7], n=2000, seed=seed).build()
        tied = [row.trial for row in board.candidates if row.tied_with_best]
        alone += tied == [0]
    assert alone >= 18
