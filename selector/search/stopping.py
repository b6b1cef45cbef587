"""How a worker hears that somebody asked for its study to stop, on whatever host."""

from __future__ import annotations

from selector.errors import StudyStoppedError, visible
from selector.store import Store


def stop_of(store: Store, study: str, *, run_id: int | None = None) -> StudyStoppedError | None:
    """The error that says who stopped a study, if that holds for a run; by default a new one."""
    stop = store.stop_of(study, run_id=run_id)
    if stop is None:
        return None
    return StudyStoppedError(
        f"Study '{study}' was stopped by {visible(stop.who)} at {stop.asked_at:%Y-%m-%d %H:%M} "
        "UTC. Nothing is lost; selector run continues it."
    )
