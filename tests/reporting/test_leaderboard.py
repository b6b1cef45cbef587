"""What a leaderboard tells its reader, and other programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from selector import reporting
from selector.records import Leaderboard
from selector.reporting.leaderboard import counted
from selector.reporting.ranking import rank
from selector.store import Store


def test_the_json_is_the_one_that_other_programs_rely_on(board: Leaderboard) -> None:
    document = json.loads(reporting.render(board, "json"))
    assert list(document) == [
        "study",
        "metric",
        "data",
        "candidates",
        "trials",
        "pick",
        "cheapest",
    ]
    assert document["metric"] == {"name": "f1_macro", "goal": "maximize"}
    assert document["data"]["counts"] == {"train": 200, "validation": 60, "test": 50}
    assert document["trials"] == {"complete": 3, "pruned": 1, "failed": 1, "running": 1}
    first = document["candidates"][0]
    assert list(first) == [
        "rank",
        "trial",
        "backbone",
        "params",
        "score",
        "ci_low",
        "ci_high",
        "tied_with_best",
        "best_epoch",
        "epochs",
        "seconds",
        "parameters",
        "latency_ms",
        "metrics",
        "tie_group",
        "probability_best",
        "behind",
        "behind_low",
        "behind_high",
        "checkpoint",
        "pareto",
    ]
    assert list(document["pick"]) == ["trial", "compared", "resamples", "score", "expected_score"]
    assert document["cheapest"] == {"latency_ms": 1, "parameters": 1, "seconds": 1}
    assert first["params"] == {"lr": 0.002, "freeze_depth": 2}
    assert first["score"] == first["metrics"]["f1_macro"]


def test_failed_and_pruned_trials_are_counted_not_listed(board: Leaderboard) -> None:
    text = reporting.render(board, "table")
    assert "3 complete, 1 pruned, 1 failed, 1 running" in text
    assert len([line for line in text.splitlines() if "toy:cnn" in line]) == 3


def test_the_arrow_points_to_better(stored: Store) -> None:
    assert "f1_macro ↑" in reporting.render(rank(stored, "flowers"), "md")
    by_loss = reporting.render(rank(stored, "flowers", metric="log_loss"), "md")
    assert "log_loss ↓" in by_loss


def test_ties_are_marked_and_counted_only_where_there_are_any(board: Leaderboard) -> None:
    rows = [replace(row, tied_with_best=True) for row in board.candidates[:2]]
    tied = replace(board, candidates=(*rows, replace(board.candidates[2], tied_with_best=False)))
    text = reporting.render(tied, "table")
    assert "2 candidates cannot be told apart by 60 samples" in text
    assert [line.split()[-2] == "=" or "=" in line.split() for line in text.splitlines()[4:7]] == [
        True,
        True,
        False,
    ]
    alone = replace(tied, candidates=(rows[0],))
    assert "told apart" not in reporting.render(alone, "table")


def test_a_study_without_candidates_says_so(board: Leaderboard) -> None:
    text = reporting.render(replace(board, candidates=()), "table")
    assert "No candidate yet: 3 complete" in text


def test_running_trials_are_mentioned_while_there_are_any(board: Leaderboard) -> None:
    assert counted(board.trials).endswith("1 running")
    assert counted(replace(board.trials, running=0)) == "3 complete, 1 pruned, 1 failed"


def test_parameters_that_never_changed_are_left_out_of_the_table(board: Leaderboard) -> None:
    rows = tuple(
        replace(row, params={**row.params, "fixed": 1, "varied": row.rank})
        for row in board.candidates
    )
    text = reporting.render(replace(board, candidates=rows), "table", width=200)
    assert "varied" in text
    assert "fixed" not in text


@pytest.mark.parametrize("fmt", ["json", "csv"])
def test_files_have_every_digit(fmt: str, board: Leaderboard) -> None:
    assert repr(board.candidates[0].score) in reporting.render(board, fmt)
