"""What is not a number ranks nowhere: not in the store, not on the leaderboard."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from selector import selection
from selector.errors import TrialFailedError
from selector.reporting.ranking import rank
from selector.store import Store

NOT_FINITE = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("score", NOT_FINITE)
def test_a_score_that_is_not_finite_makes_no_candidate(
    filled: Store, results: Any, score: float
) -> None:
    before = [row.trial for row in rank(filled, "flowers").candidates]
    end = dataclasses.replace(results.complete(5), score=score)

    with pytest.raises(TrialFailedError) as failure:
        filled.finish_trial("flowers", end)

    assert failure.value.cause == "non_finite"
    assert filled.trials("flowers")[5].state == "running"
    assert [row.trial for row in rank(filled, "flowers").candidates] == before


@pytest.mark.parametrize("score", NOT_FINITE)
def test_a_failed_trial_with_such_a_score_stores_none(
    filled: Store, results: Any, score: float
) -> None:
    filled.finish_trial("flowers", dataclasses.replace(results.failed(5), score=score))

    assert filled.trials("flowers")[5].score is None
    assert filled.studies()[0].best_trial == 1


@pytest.mark.parametrize("score", ["'NaN'", "9e999", "-9e999"])
def test_the_database_itself_refuses_such_a_score(filled: Store, score: str) -> None:
    if filled.engine.dialect.name == "postgresql":
        score = {"9e999": "'Infinity'", "-9e999": "'-Infinity'"}.get(score, score)

    with pytest.raises(IntegrityError), filled.engine.begin() as connection:
        connection.execute(text(f"UPDATE selector_trials SET score = {score} WHERE number = 4"))


@pytest.mark.parametrize("value", NOT_FINITE)
def test_another_metric_that_is_not_finite_ranks_no_trial(
    filled: Store, results: Any, value: float
) -> None:
    candidate = results.candidate(0.9, 5)
    metrics = {**candidate.metrics, "accuracy": value}
    end = dataclasses.replace(
        results.complete(5), candidate=dataclasses.replace(candidate, metrics=metrics)
    )
    filled.finish_trial("flowers", end)

    board = rank(filled, "flowers", metric="accuracy")

    assert 5 not in [row.trial for row in board.candidates]
    assert all(math.isfinite(row.score) for row in board.candidates)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_leaderboard_leaves_such_a_row_out(filled: Store, value: float) -> None:
    """Even one that no store would give."""
    rows = [
        dataclasses.replace(row, score=value, metrics={**row.metrics, "f1_macro": value})
        if row.number == 1
        else row
        for row in filled.trials("flowers")
    ]

    board = selection.build(
        filled.require_study("flowers"),
        rows,
        predictions=filled.predictions("flowers"),
        counts=filled.counts("flowers"),
    )

    assert [row.trial for row in board.candidates] == [0, 4]
