"""Which hyperparameters mattered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from selector.records import TrialRow
from selector.reporting.html.importance import ENOUGH, importances, searched


def make_trials(n, score):
    """Trials over two parameters, scored by `score(lr exponent, momentum)`."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(n):
        exponent, momentum = float(rng.uniform(-5, -2)), float(rng.uniform(0, 1))
        rows.append(
            TrialRow(
                number=number,
                state="complete",
                backbone="toy:cnn",
                params={"backbone": "toy:cnn", "lr": 10**exponent, "momentum": momentum},
                origin="sampler",
                seed=0,
                score=score(exponent, momentum),
                best_epoch=1,
                epochs=1,
                seconds=1.0,
                failure_cause=None,
                failure_message=None,
                parameters=1,
                trained_parameters=1,
                latency_ms=1.0,
                checkpoint=None,
            )
        )
    return rows


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_the_parameter_that_decides_is_named_whichever_way_is_better(goal):
    sign = 1 if goal == "maximize" else -1
    # Only at its best end does the score depend on `lr`; at the other end `momentum` decides.
    trials = make_trials(120, lambda e, m: sign * (0.9 - abs(e + 2.3) if e > -3 else 0.1 * m))
    found = importances(trials, goal=goal, logarithmic=frozenset({"lr"}))
    assert list(found) == ["lr", "momentum"]
    middle, low, high = found["lr"]
    assert middle > 0.8
    assert low <= middle <= high


def test_both_directions_of_the_same_trials_agree():
    up = make_trials(60, lambda e, m: e + 0.1 * m)
    down = [dataclasses.replace(t, score=-(t.score or 0.0)) for t in up]
    one = importances(up, goal="maximize", logarithmic=frozenset({"lr"}))
    other = importances(down, goal="minimize", logarithmic=frozenset({"lr"}))
    assert list(one) == list(other)
    for name in one:
        assert one[name] == pytest.approx(other[name])


def test_too_few_trials_say_nothing():
    trials = make_trials(ENOUGH - 1, lambda e, m: e)
    assert importances(trials, goal="maximize", logarithmic=frozenset()) == {}


def test_what_never_changes_was_not_searched():
    assert searched(make_trials(5, lambda e, m: e)) == ("lr", "momentum")
