"""Champion against challenger: noise keeps the champion, a true difference replaces it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from selector import metrics
from selector.records import Challenge
from selector.selection.challenge import FEWEST, challenge, is_better, too_few
from tests.selection.conftest import make_up


def held(accuracies: list[float], *, seed: int = 0, n: int = 300, metric: str = "f1_macro"):
    """The first candidate is the champion, the best of the others challenges it."""
    made = make_up(accuracies, seed=seed, n=n, metric=metric)
    labels = made.study.data.validation_labels
    champion, others = made.predictions[0], dict(made.predictions)
    del others[0]
    values = {k: metrics.compute(metric, labels, v) for k, v in others.items()}
    best = max if made.study.goal == "maximize" else min
    pick = best(values, key=lambda number: values[number])
    everything = np.ones(n, dtype=bool)
    return challenge(made.study, others, champion, pick=pick, unknown=everything)


def test_a_challenger_that_is_truly_better_wins() -> None:
    found = held([0.6, 0.9, 0.85])
    assert is_better(found)
    assert found.difference == pytest.approx(found.challenger_score - found.champion_score)
    assert 0 < found.low < found.difference < found.high
    assert not found.tied and found.samples == 300 and found.excluded == 0


def test_the_best_of_many_equals_rarely_replaces_the_champion() -> None:
    # The best of twelve equals, picked on these very samples, looks better than a fair thirteenth.
    swaps = [is_better(held([0.8] * 13, seed=seed)) for seed in range(40)]
    assert sum(swaps) <= 3


def test_a_worse_challenger_never_wins_however_sure_that_is() -> None:
    found = held([0.9, 0.6])
    assert found.gain < 0 and found.p_value < 0.05
    assert not is_better(found)


def test_where_less_is_better_a_smaller_value_wins() -> None:
    found = held([0.6, 0.9], metric="log_loss")
    assert found.goal == "minimize" and found.difference < 0 < found.gain
    assert is_better(found)


def test_the_pick_of_the_finals_must_be_better_itself_and_not_only_the_leader() -> None:
    made = make_up([0.7, 0.95, 0.69])
    others = {1: made.predictions[1], 2: made.predictions[2]}
    everything = np.ones(300, dtype=bool)
    found = challenge(made.study, others, made.predictions[0], pick=2, unknown=everything)
    assert not found.tied  # with the leader, trial 1
    assert not is_better(found)


def test_only_samples_that_are_new_to_the_champion_count() -> None:
    made = make_up([0.9, 0.9], n=200)
    wrong = made.predictions[1].copy()
    unknown = np.arange(200) >= 80
    wrong[~unknown] = np.roll(wrong[~unknown], 1, axis=1)  # the challenger fails on the known ones
    found = challenge(made.study, {1: wrong}, made.predictions[0], pick=1, unknown=unknown)
    alone = challenge(
        made.study, {1: made.predictions[1]}, made.predictions[0], pick=1, unknown=unknown
    )
    assert found == alone
    assert (found.samples, found.excluded) == (120, 80)


def test_too_few_samples_and_lost_classes_are_told() -> None:
    study = make_up([0.9], n=120).study
    unknown = np.zeros(120, dtype=bool)
    assert too_few(study, ~unknown) is None
    unknown[: FEWEST - 1] = True
    assert too_few(study, unknown) == (
        f"{FEWEST - 1} of 120 validation samples are new to the champion, and {FEWEST} are needed"
    )
    no_class_2 = study.data.validation_labels != 2
    assert "none of them is of class 'class 2'" in str(too_few(study, no_class_2))


def test_the_least_sure_of_two_conditions_decides() -> None:
    sure = held([0.6, 0.9])
    assert is_better(sure)
    changed: list[Challenge] = [
        dataclasses.replace(sure, tied=True),
        dataclasses.replace(sure, p_value=0.06),
    ]
    assert not any(is_better(each) for each in changed)
