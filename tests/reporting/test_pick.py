"""One winner: where finals have decided, every part of a report is about their pick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from selector import metrics, reporting
from selector.records import Leaderboard
from selector.reporting import finals, html, leaderboard
from selector.reporting.html.contents import sections
from selector.reporting.html.verdict import verdict
from selector.reporting.pick import pick_of, reconciled
from selector.reporting.ranking import rank
from selector.store import Store


def test_before_finals_the_leader_is_what_a_report_is_about(board: Leaderboard) -> None:
    assert pick_of(board) is board.candidates[0]
    assert reconciled(board) == ""
    assert pick_of(replace(board, candidates=())) is None


def test_after_finals_the_pick_leads_the_verdict_and_the_search_is_reconciled(
    decided: Store, tmp_path: Path
) -> None:
    material = html.gather(decided, "flowers", artifacts=tmp_path)
    assert material.board.candidates[0].trial == 1  # the premise: the search had another first
    first, *rest = verdict(material)
    assert first.startswith("The pick is trial 0: toy:cnn with a mean f1_macro of 0.")
    words = " ".join((first, *rest))
    assert "The search had trial 1 first (" in words and "the finals decide" in words
    assert " leads" not in words and "runner-up (trial" not in words
    # What the leader of the search might score on new data is no longer anybody's business.
    assert "is the best of" not in words


def test_errors_classes_and_calibration_are_those_of_the_pick_and_say_so(
    decided: Store, tmp_path: Path
) -> None:
    material = html.gather(
        decided, "flowers", artifacts=tmp_path, pictures_missing="the data is elsewhere"
    )
    assert material.winner is not None and material.winner.number == 0
    assert material.log_probabilities is not None
    said = decided.log_probabilities("flowers", 0)
    assert np.array_equal(material.log_probabilities, said)
    titles = [section.title for section in sections(material)]
    for part in ("Most confident errors", "Classes", "Calibration"):
        assert f"{part} of trial 0, the pick" in titles
    other = html.gather(decided, "flowers", artifacts=tmp_path, metric="accuracy")
    assert other.winner is not None and other.winner.number == 1
    assert "Classes of trial 1, which leads" in [section.title for section in sections(other)]


def test_the_terminal_has_one_winner_too(decided: Store) -> None:
    board = rank(decided, "flowers")
    text = " ".join(reporting.render(board, "table", width=200).split())
    assert "Pick: trial 0: best mean f1_macro in one run" in text
    assert "The search had trial 1 first (" in text
    assert "what to expect of trial 1" not in text
    (table, *_) = leaderboard.page(board).tables
    (strong,) = table.strong_rows
    assert table.rows[strong][1] == "0"


def test_the_table_of_the_finals_marks_the_pick_also_where_a_better_one_cannot_be_shipped(
    decided: Store,
) -> None:
    board = rank(decided, "flowers")
    assert board.finals is not None and board.verdict is not None
    assert [row.trial for row in board.finals.finalists] == [0, 1]
    for chosen, place in ((0, 0), (1, 1)):
        (table,) = finals.tables(board.finals, replace(board.verdict, trial=chosen))
        assert table.strong_rows == {place}


def test_the_stated_calibration_error_is_the_metric_and_its_table_adds_up_to_it(
    stored: Store, tmp_path: Path
) -> None:
    material = html.gather(stored, "flowers", artifacts=tmp_path)
    section = next(each for each in sections(material) if each.anchor == "calibration")
    stated = rank(stored, "flowers").candidates[0].metrics["ece"]
    assert f"error {stated:.3f};" in section.words[0]
    assert material.log_probabilities is not None
    labels = material.study.data.validation_labels
    bins = metrics.calibration_bins(labels, material.log_probabilities)
    assert sum(count for _, _, count in bins) == len(labels)
    total = sum(count * abs(sure - right) for sure, right, count in bins) / len(labels)
    assert abs(total - stated) < 1e-6
