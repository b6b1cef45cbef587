"""What `list` and `show` tell."""

from __future__ import annotations

import json
from typing import Any

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


def test_studies_show_their_best(stored: Store, results: Any) -> None:
    stored.create_study(results.study("other"))
    lines = reporting.render(reporting.studies_page(stored.studies()), width=140).splitlines()
    flowers = next(line for line in lines if line.startswith("flowers"))
    assert "toy:cnn" in flowers
    assert "running" in flowers
    assert any(line.startswith("other") for line in lines)


def test_no_study_says_how_to_start() -> None:
    assert "selector run" in reporting.render(reporting.studies_page(()))


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


def test_a_failed_trial_shows_its_message(stored: Store) -> None:
    page = reporting.trial_page(
        stored.require_study("flowers"), stored.trials("flowers")[3], epochs=(), class_scores=()
    )
    assert "non_finite: loss is nan in epoch 1" in reporting.render(page)


def test_a_trial_shows_its_epochs_and_classes(stored: Store) -> None:
    page = reporting.trial_page(
        stored.require_study("flowers"),
        stored.trials("flowers")[1],
        epochs=[epoch for trial, epoch in stored.epochs("flowers") if trial == 1],
        class_scores=stored.class_scores("flowers", 1),
    )
    text = reporting.render(page)
    for word in ("validation loss", "bee", "11.2 M, 1.1 M of them trained", "freeze_depth"):
        assert word in text
