"""Numbers and names as short text."""

from __future__ import annotations

import math

import pytest

from selector.reporting import figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (12.34, "12.3s"), (59.99, "60.0s"), (65, "1m05s"), (7500, "2h05m")],
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


def test_what_is_missing_is_a_dash() -> None:
    assert {
        figures.score(None),
        figures.score(math.nan),
        figures.interval(math.nan, 1.0),
        figures.millions(None),
        figures.milliseconds(math.nan),
        figures.duration(None),
        figures.value(None),
        figures.whole(None),
        figures.moment(None),
    } == {"–"}


def test_toy_networks_have_parameters_too() -> None:
    assert figures.millions(11_200_000) == "11.2"
    assert figures.millions(5_300) == "0.005"


def test_joined_emoji_survive_and_controls_do_not() -> None:
    family = "\U0001f469\u200d\U0001f467"
    assert figures.safe(family) == family
    assert figures.safe("a\x9bb\u202e\n") == "a\\x9bb\\u202e\\n"
