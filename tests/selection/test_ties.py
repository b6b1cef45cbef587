"""Equal candidates are tied, clearly better ones are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from selector import metrics
from selector.selection.ties import tie_groups, tied_with_best


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


def test_groups_go_on_down_the_table(made_up: Callable[..., Any]) -> None:
    board = made_up([0.9, 0.9, 0.7, 0.7, 0.4], n=1200).build()
    assert [row.tie_group for row in board.candidates] == [1, 1, 2, 2, 3]
    assert [row.tied_with_best for row in board.candidates] == [True, True, False, False, False]


def test_a_close_follower_may_be_told_apart_where_a_worse_stranger_may_not() -> None:
    # The second errs where the leader errs, and once more: its gap is small but sure. The third
    # errs elsewhere, so that its larger gap may be chance.
    rng = np.random.default_rng(0)
    leader, stranger = rng.normal(0, 1, (2, 4000))
    scores = 50 + np.stack([leader, leader + rng.normal(0, 0.01, 4000), stranger])
    observed = np.array([50.0, 49.9, 49.0])
    assert tied_with_best(scores, observed, maximize=True).tolist() == [True, False, True]
    assert tie_groups(scores, observed, maximize=True).tolist() == [1, 2, 1]


def test_the_smaller_is_the_better_where_the_metric_says_so() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([[3.0], [1.0], [1.01]]) + rng.normal(0, 0.1, (3, 500))
    groups = tie_groups(scores, np.array([3.0, 1.0, 1.01]), maximize=False)
    assert groups.tolist() == [2, 1, 1]
