"""Equal candidates are tied, clearly better ones are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from selector import metrics
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


def _with_errors(study: Any, *wrong: tuple[int, ...]) -> Any:
    """The study with candidates that are wrong on the given samples alone."""
    labels, trials, predictions = study.study.data.validation_labels, [], {}
    n_classes = len(study.study.data.class_names)
    for number, samples in enumerate(wrong):
        chosen = labels.copy()
        chosen[list(samples)] = (chosen[list(samples)] + 1) % n_classes
        log_p = np.log(np.where(np.eye(n_classes)[chosen] > 0, 0.9, 0.1 / (n_classes - 1)))
        predictions[number] = log_p.astype(np.float32)
        values = metrics.compute_all(labels, predictions[number])
        score = values[study.study.metric]
        trials.append(replace(study.trials[0], number=number, score=score, metrics=values))
    return replace(study, trials=tuple(trials), predictions=predictions)


@pytest.mark.parametrize("n", [24, 269])
@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "mcc", "auroc"])
def test_a_faultless_candidate_is_tied_with_one_that_erred_once(
    made_up: Callable[..., Any], n: int, metric: str
) -> None:
    board = _with_errors(made_up([1.0], n=n, metric=metric), (), (0,), ()).build()
    assert all(row.tied_with_best for row in board.candidates)
    assert all(row.ci_low < row.ci_high for row in board.candidates)


def test_the_only_sample_of_a_class_decides_nothing(made_up: Callable[..., Any]) -> None:
    # Each class has one sample, so that resamples within classes are all alike.
    board = _with_errors(made_up([1.0], n=24, classes=24), (), (5,)).build()
    assert [row.tied_with_best for row in board.candidates] == [True, True]


def test_a_faultless_candidate_is_ahead_of_one_that_often_errs(made_up: Callable[..., Any]) -> None:
    board = _with_errors(made_up([1.0], n=269), (), tuple(range(0, 269, 10))).build()
    assert [row.tied_with_best for row in board.candidates] == [True, False]


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
