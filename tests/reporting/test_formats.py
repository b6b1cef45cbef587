"""What every format must do with every page."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from selector import reporting
from selector.errors import UnknownNameError
from selector.records import Leaderboard, TrialCounts
from selector.reporting import Page
from selector.store import Store

EVIL = "a\x1b[31m|[red]b`<i>\u202ec\nd"


@pytest.fixture(params=["leaderboard", "empty", "studies", "no studies", "study", "trial"])
def content(
    request: pytest.FixtureRequest, board: Leaderboard, stored: Store, results: Any
) -> Leaderboard | Page:
    match request.param:
        case "leaderboard":
            return board
        case "empty":
            return replace(board, candidates=(), trials=TrialCounts())
        case "studies":
            return reporting.studies_page(stored.studies())
        case "no studies":
            return reporting.studies_page(())
        case "study":
            return _study(stored)
        case _:
            return _trial(stored, 1)


def _study(store: Store) -> Page:
    return reporting.study_page(
        store.require_study("flowers"),
        store.trials("flowers"),
        runs=store.runs("flowers"),
        counts=store.counts("flowers"),
    )


def _trial(store: Store, number: int) -> Page:
    return reporting.trial_page(
        store.require_study("flowers"),
        store.trials("flowers")[number],
        epochs=[epoch for trial, epoch in store.epochs("flowers") if trial == number],
        class_scores=store.class_scores("flowers", number),
    )


@pytest.mark.parametrize("fmt", reporting.formats())
def test_every_page_can_be_written(fmt: str, content: Any) -> None:
    text = reporting.render(content, fmt)
    assert text
    assert not text.endswith("\n")


@pytest.mark.parametrize("fmt", reporting.formats())
def test_names_cannot_steer_the_terminal(fmt: str, board: Leaderboard) -> None:
    rows = tuple(replace(row, backbone=EVIL, params={EVIL: EVIL}) for row in board.candidates)
    text = reporting.render(replace(board, study=EVIL, candidates=rows), fmt, width=300)
    assert not set(text) & set("\x1b\u202e")
    if fmt in ("table", "csv"):
        assert "[red]" in text  # no markup of ours
    if fmt == "md":
        assert "<i>" not in text.replace("\\<i\\>", "")
        lengths = {
            line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")
        }
        assert len(lengths) == 1


@pytest.mark.parametrize("width", [40, 80, 100, 140])
def test_a_table_never_is_wider_than_the_terminal(width: int, content: Any) -> None:
    lines = reporting.render(content, "table", width=width).splitlines()
    assert max(map(len, lines)) <= width


def test_a_narrow_table_keeps_what_matters(board: Leaderboard) -> None:
    text = reporting.render(board, "table", width=60)
    for heading in ("#", "trial", "backbone", "f1_macro ↑", "95% interval"):
        assert heading in text
    assert "params M" not in text
    assert "params M" in reporting.render(board, "table", width=140)


def test_colour_is_used_only_where_asked_for(board: Leaderboard) -> None:
    assert "\x1b[" not in reporting.render(board, "table")
    assert "\x1b[" in reporting.render(board, "table", color=True)


def test_json_has_no_numbers_that_json_does_not_know(board: Leaderboard) -> None:
    row = replace(board.candidates[0], ci_low=float("nan"), latency_ms=float("inf"))
    text = reporting.render(replace(board, candidates=(row,)), "json")
    found = json.loads(text, parse_constant=pytest.fail)["candidates"][0]
    assert found["ci_low"] is None
    assert found["latency_ms"] is None


def test_csv_reads_back(content: Any) -> None:
    rows = list(csv.reader(io.StringIO(reporting.render(content, "csv"))))
    assert len({len(row) for row in rows}) == 1


def test_an_unknown_format_lists_the_known_ones(board: Leaderboard) -> None:
    with pytest.raises(UnknownNameError, match="csv, json, md, table"):
        reporting.render(board, "xml")
