"""What a run and its workers do, counted from the events that the process hears."""

from __future__ import annotations

import threading
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from selector.events import (
    EpochEnded,
    Event,
    FinalsEnded,
    FinalsReady,
    NoticeFailed,
    PrefixUsed,
    RunReady,
    StoreAnswers,
    StoreSilent,
    TrialEnded,
    TrialLost,
    TrialStarted,
    WriterFailed,
)
from selector.monitoring.machine import CacheCollector, GpuCollector

# From an epoch of a cached linear probe to one of a large network on a whole ImageNet.
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 7200)


class RunMetrics:
    """An observer that keeps Prometheus metrics of what it hears, in a registry of its own.

    A process that watches workers hears them all, so it counts for all of them. `cache` is the
    folder whose stored outputs of frozen stages are measured when the metrics are read.
    """

    def __init__(self, *, cache: Path) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the time at which each counter began, as twice as many series
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(GpuCollector())
        self.registry.register(CacheCollector(cache))
        self._study = ""
        self._phase = "search"
        self._running: set[int] = set()
        self._silent = False
        self._lock = threading.Lock()  # workers are heard in one thread, the heartbeat in another
        self._make()

    def __call__(self, event: Event) -> None:
        """Count the event."""
        with self._lock:
            self._count(event)

    def _make(self) -> None:
        registry, study = self.registry, ["study"]
        self._ready = Gauge(
            "selector_run_info",
            "The run that this process watches.",
            [*study, "metric", "goal", "device"],
            registry=registry,
        )
        self._trials = Counter(
            "selector_trials_total",
            "Trials that ended while this process watched.",
            [*study, "phase", "state"],
            registry=registry,
        )
        self._now = Gauge(
            "selector_trials_running",
            "Trials that workers of this run train now.",
            study,
            registry=registry,
        )
        self._best = Gauge(
            "selector_best_score",
            "The best score of the study's search so far.",
            study,
            registry=registry,
        )
        self._epochs = Histogram(
            "selector_epoch_seconds",
            "Duration of an epoch, its validation included.",
            study,
            buckets=SECONDS,
            registry=registry,
        )
        self._lost = Counter(
            "selector_leases_lost_total",
            "Trials that were handed out again because their worker was not heard of.",
            study,
            registry=registry,
        )
        self._make_rest()

    def _make_rest(self) -> None:
        registry, study = self.registry, ["study"]
        self._asked = Counter(
            "selector_prefix_cache_requests_total",
            "Times a trial asked for stored outputs of frozen stages: hit, filled or declined.",
            [*study, "outcome"],
            registry=registry,
        )
        self._read = Counter(
            "selector_prefix_cache_read_bytes_total",
            "Bytes of stored outputs that trials were given.",
            study,
            registry=registry,
        )
        self._away = Gauge(
            "selector_store_silent",
            "1 while the store does not answer a worker of this run.",
            study,
            registry=registry,
        )
        self._outages = Counter(
            "selector_store_outages_total",
            "Times the store fell silent.",
            study,
            registry=registry,
        )
        self._outage_seconds = Counter(
            "selector_store_outage_seconds_total",
            "Time in which the store did not answer.",
            study,
            registry=registry,
        )
        self._failures = Counter(
            "selector_side_failures_total",
            "Webhooks, commands and writers that failed; the study goes on without them.",
            [*study, "kind"],
            registry=registry,
        )

    def _count(self, event: Event) -> None:
        study = self._study
        self._count_trial(event)
        match event:
            case RunReady():
                self._begin(event)
            case FinalsReady():
                self._phase = "finals"
            case FinalsEnded():
                self._phase = "search"
            case PrefixUsed():
                self._asked.labels(study, event.outcome).inc()
                if event.outcome != "declined":
                    self._read.labels(study).inc(event.bytes)
            case StoreSilent() | StoreAnswers():
                self._count_outage(event)
            case NoticeFailed():
                self._failures.labels(study, "notice").inc()
            case WriterFailed():
                self._failures.labels(study, "writer").inc()

    def _count_trial(self, event: Event) -> None:
        study = self._study
        match event:
            case TrialStarted():
                self._running.add(event.number)
            case EpochEnded():
                self._epochs.labels(study).observe(event.seconds)
                return
            case TrialEnded():
                self._running.discard(event.number)
                self._trials.labels(study, self._phase, event.state).inc()
                if event.best_score is not None and event.heat is None:
                    self._best.labels(study).set(event.best_score)
            case TrialLost():
                self._running.discard(event.number)
                self._lost.labels(study).inc()
            case _:
                return
        self._now.labels(study).set(len(self._running))

    def _begin(self, event: RunReady) -> None:
        self._study = study = event.study
        self._ready.labels(study, event.metric, event.goal, event.device).set(1)
        if event.best_score is not None:
            self._best.labels(study).set(event.best_score)
        # A series that appears with its first count has no increase from 0, so no alert sees it.
        for state in ("complete", "pruned", "failed"):
            self._trials.labels(study, "search", state)
        for outcome in ("hit", "filled", "declined"):
            self._asked.labels(study, outcome)
        for metric in (self._lost, self._outages, self._outage_seconds, self._read):
            metric.labels(study)
        self._now.labels(study).set(0)
        self._away.labels(study).set(0)

    def _count_outage(self, event: StoreSilent | StoreAnswers) -> None:
        """One outage, however many workers say so."""
        silent = isinstance(event, StoreSilent)
        if silent and not self._silent:
            self._outages.labels(self._study).inc()
        if not silent and self._silent:
            assert isinstance(event, StoreAnswers)
            self._outage_seconds.labels(self._study).inc(event.seconds)
        self._silent = silent
        self._away.labels(self._study).set(int(silent))
