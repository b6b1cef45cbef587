"""Whose checkpoints stay, and the command that brings another one back."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from selector.selection.retention import again, finals_may_choose, kept, not_kept


def test_the_best_stay_and_the_protected_too(make_trial: Callable[..., Any]) -> None:
    trials = [make_trial(number, score) for number, score in enumerate((0.5, 0.9, 0.7, 0.1))]
    trials.append(make_trial(4, 0.95, state="pruned"))
    assert kept(trials, goal="maximize", best=2) == {1, 2}
    assert kept(trials, goal="minimize", best=2) == {0, 3}
    assert kept(trials, goal="maximize", best=1, protected={0, 4, 99}) == {0, 1}
    assert kept(trials, goal="maximize", best=None) == {0, 1, 2, 3}


def test_whom_finals_may_choose_stays(make_trial: Callable[..., Any]) -> None:
    trials = [make_trial(number, score) for number, score in enumerate((0.1, 0.5, 0.9, 0.7, 0.8))]
    trials.append(make_trial(5, 0.2, origin="start_from"))
    trials.append(make_trial(6, 0.95, state="pruned"))
    # Trial 0 is the first configuration of all, 5 the user's own: both are references.
    assert finals_may_choose(trials, goal="maximize", top=3) == {0, 2, 3, 4, 5}
    assert finals_may_choose(trials, goal="minimize", top=2) == {0, 5}
    assert finals_may_choose(trials, goal="maximize", top=None) == {0, 2, 5}
    assert finals_may_choose([], goal="maximize", top=3) == frozenset()


def test_the_command_names_what_was_searched_and_nothing_that_is_fixed(
    made_up: Callable[..., Any], make_trial: Callable[..., Any]
) -> None:
    study = replace(
        made_up([0.5]).study,
        spec={
            "keep": {"best": 2},
            "search": {"backbone": ["toy:cnn", "b"], "lr": {"uniform": [0, 1]}, "momentum": 0.9},
        },
    )
    trial = make_trial(7, 0.5, params={"backbone": "toy:cnn", "lr": 0.25, "momentum": 0.9})
    words = shlex.split(again(study, trial))
    assert words[-1] == 'start_from=[{"backbone": "toy:cnn", "lr": 0.25}]'
    assert "name=made-up.again-7" in words
    assert "(keep: {best: 2})" in not_kept(study, trial)
