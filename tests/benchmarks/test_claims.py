"""A hundred simulated workers on one study: nothing is lost and nothing is done twice."""

from __future__ import annotations

import pytest

from benchmarks.claims import check, roomy_server, work_at_once


@pytest.mark.storm
def test_a_hundred_workers_on_postgresql_lose_no_trial_and_double_none() -> None:
    with roomy_server(connections=1000) as url:
        crowd = work_at_once(url, workers=100, trials=150)
        check(url, crowd)

    assert sorted(done.number for done in crowd.done) == list(range(150))
    assert crowd.connections > 100, "they all worked at the same time"
    assert len(crowd.milliseconds("report")) == 1500
