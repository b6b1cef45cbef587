"""Who is on the front of score and cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selector.selection.pareto import front

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20)


@given(points=POINTS)
def test_the_front_is_what_no_other_candidate_beats(points: list[tuple[int, int]]) -> None:
    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one[0] >= other[0] and one[1] <= other[1] and one != other

    expected = [not any(beats(other, point) for other in points) for point in points]
    scores, costs = [p[0] for p in points], [p[1] for p in points]
    assert front(scores, costs).tolist() == expected
    losses = [-score for score in scores]
    assert front(losses, costs, goal="minimize").tolist() == expected


def test_an_unknown_cost_is_on_no_front() -> None:
    assert front([0.9, 0.5], [math.nan, 1.0]).tolist() == [False, True]
    assert front(np.array([]), np.array([])).tolist() == []


def test_the_board_marks_fronts_and_the_cheapest_of_the_tied(made_up: Callable[..., Any]) -> None:
    study = made_up([0.9, 0.9, 0.5, 0.4], n=400)
    costs = {0: (9.0, 300, 5.0), 1: (4.0, 400, 8.0), 2: (1.0, 100, 1.0), 3: (5.0, 500, 9.0)}
    trials = tuple(
        replace(trial, latency_ms=ms, parameters=size, seconds=seconds)
        for trial, (ms, size, seconds) in zip(study.trials, costs.values(), strict=True)
    )
    board = replace(study, trials=trials).build()
    assert board.cheapest == {"latency_ms": 1, "parameters": 0, "seconds": 0}
    marks = {row.trial: row.pareto for row in board.candidates}
    assert marks[2] == ("latency_ms", "parameters")
    assert marks[3] == ()
    assert board.candidates[0].pareto != ()
