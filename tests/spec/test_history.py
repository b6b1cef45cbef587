"""The study file's `history`."""

from __future__ import annotations

import pytest

from selector.errors import StudyFileError
from selector.spec import from_plain, parse_study, to_plain
from selector.spec.history import HistorySpec

STUDY = """
name: flowers
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
search: {backbone: "toy:cnn"}
"""


@pytest.mark.parametrize(
    ("written", "meant", "plain"),
    [
        ("", None, "off"),
        ("history: off", None, "off"),
        ("history: auto", HistorySpec(), {"studies": "auto", "recipes": 3}),
        (
            "history: {studies: [weeds, trees], recipes: 5}",
            HistorySpec(studies=("weeds", "trees"), recipes=5),
            {"studies": ["weeds", "trees"], "recipes": 5},
        ),
    ],
)
def test_history_is_off_unless_asked_for_and_survives_the_store(
    written: str, meant: HistorySpec | None, plain: object
) -> None:
    spec = parse_study(STUDY + written)
    assert spec.history == meant
    assert to_plain(spec)["history"] == plain
    assert from_plain(to_plain(spec)) == spec


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("history: on", "Allowed: off, auto, or for example"),
        ("history: {studies: weeds}", "Allowed: auto, or a list of names of studies"),
        ("history: {studies: []}", "Allowed: auto, or a list of names of studies"),
        ("history: {recipes: 0}", "greater than or equal to 1"),
        ("history: {recipe: 2}", "unknown key"),
    ],
)
def test_a_wrong_history_is_told_with_what_is_allowed(written: str, complaint: str) -> None:
    with pytest.raises(StudyFileError, match="history") as refused:
        parse_study(STUDY + written)
    assert complaint in str(refused.value)
