"""A hundred simulated workers on one study: nothing is lost and nothing is done twice."""

from __future__ import annotations

import re

import pytest

from tests.benchmarks.test_smoke import run


@pytest.mark.storm
def test_a_hundred_workers_on_postgresql_lose_no_trial_and_double_none() -> None:
    printed = run("claims", ["--workers", "100", "--trials", "1"])

    assert re.search(r"same (bits|within [\d.]+|in both records): yes", printed)
