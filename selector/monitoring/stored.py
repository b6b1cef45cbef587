"""What a store knows of all its studies, as Prometheus metrics."""

from __future__ import annotations

from dataclasses import asdict

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from selector.store import Store

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render(store: Store) -> bytes:
    """The metrics of all studies of the store as they are now, in Prometheus' text format.

    For a web server to give at `/metrics`, as CONTENT_TYPE. Raises UnavailableError where the store
    does not answer.
    """
    registry = CollectorRegistry()
    trials = Gauge(
        "selector_study_trials",
        "Trials of the study's search in each state.",
        ["study", "state"],
        registry=registry,
    )
    best = Gauge(
        "selector_study_best_score",
        "The best score of the study's search.",
        ["study", "metric", "goal"],
        registry=registry,
    )
    runs = Gauge(
        "selector_study_last_run",
        "1 for the status of the study's last run.",
        ["study", "status"],
        registry=registry,
    )
    held = Gauge("selector_leases", "Trials that workers hold now.", registry=registry)
    studies = Gauge("selector_studies", "Studies of the store.", registry=registry)
    rows = store.studies()
    studies.set(len(rows))
    held.set(store.live_leases())
    for row in rows:
        for state, count in asdict(row.counts).items():
            trials.labels(row.name, state).set(count)
        if row.best_score is not None:
            best.labels(row.name, row.metric, row.goal).set(row.best_score)
        if row.last_run_status is not None:
            runs.labels(row.name, row.last_run_status).set(1)
    return generate_latest(registry)
