"""A store's studies as metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from selector.monitoring import CONTENT_TYPE, render
from selector.records import Lease
from selector.store import Store
from tests.conftest import Results


def test_every_study_is_rendered_with_its_trials(filled: Store, results: Results) -> None:
    run_id = filled.runs("flowers")[0].id
    lease = Lease(token="a" * 32, seconds=600.0)
    filled.start_trial("flowers", run_id, results.trial_start(6), lease=lease)
    text = render(filled).decode()
    found = {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    counts = filled.counts("flowers")
    for state in ("complete", "pruned", "failed", "running"):
        assert found["selector_study_trials", *sorted(("flowers", state))] == getattr(counts, state)
    best = filled.studies()[0].best_score
    assert found["selector_study_best_score", "f1_macro", "flowers", "maximize"] == best
    assert found["selector_study_last_run", "flowers", "running"] == 1
    assert found["selector_leases",] == 1
    assert found["selector_studies",] == 1
    assert CONTENT_TYPE.startswith("text/plain")


def test_an_empty_store_renders(store: Store) -> None:
    assert b"selector_studies 0.0" in render(store)
