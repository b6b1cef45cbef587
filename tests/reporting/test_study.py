"""What `show STUDY` tells."""

from __future__ import annotations

import json

from selector import reporting
from selector.store import Store


def _study_text(store: Store, fmt: str = "table") -> str:
    page = reporting.study_page(
        store.require_study("flowers"),
        store.trials("flowers"),
        runs=store.runs("flowers"),
        counts=store.counts("flowers"),
    )
    return reporting.render(page, fmt, width=120)


def test_a_study_shows_every_trial_and_why_some_failed(stored: Store) -> None:
    text = _study_text(stored)
    for state in ("complete", "pruned", "failed", "running"):
        assert state in text
    assert "non_finite" in text
    assert "log_uniform 1e-05 to 0.01" in text


def test_a_study_as_json_has_its_spec_and_trials(stored: Store) -> None:
    document = json.loads(_study_text(stored, "json"))
    assert document["spec"]["search"] == {"lr": {"log_uniform": [1e-5, 1e-2]}}
    assert [trial["trial"] for trial in document["trial_rows"]] == [0, 1, 2, 3, 4, 5]
    assert document["runs"][0]["status"] == "running"
