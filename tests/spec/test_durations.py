from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.spec.durations import read_duration, write_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("45m", 2700),
        ("6h", 21600),
        ("2d", 172800),
        ("1h30m", 5400),
        (2.5, 2.5),
        (60, 60),
    ],
)
def test_a_duration_is_read_as_seconds(written: object, seconds: float) -> None:
    assert read_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "45", "45 m", "m", "30m1h", "1h1h", "-1h", "1w", True, None, [1], 0, -5, "0s"]
)
def test_what_is_no_duration_says_how_to_write_one(written: object) -> None:
    with pytest.raises(ValueError, match=r"Write 90s, 45m, 6h|longer than zero"):
        read_duration(written)


@settings(derandomize=True, max_examples=100)
@given(st.one_of(st.integers(1, 10**12), st.floats(1e-3, 1e9)))
def test_a_written_duration_reads_back_the_same(seconds: float) -> None:
    assert read_duration(write_duration(float(seconds))) == seconds


def test_a_duration_is_written_in_the_largest_units() -> None:
    assert [write_duration(s) for s in (90.0, 5400.0, 172800.0)] == ["1m30s", "1h30m", "2d"]
