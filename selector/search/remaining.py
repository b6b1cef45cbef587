"""Whether a stored study has something left to do, told from the store alone."""

from __future__ import annotations

from selector.search import budget, finals, samplers
from selector.search.claims import seconds_of_runs
from selector.spec import from_plain
from selector.store import Store


def has_work(store: Store, study: str) -> bool:
    """Whether a worker that comes now finds a trial to run, or finals to decide.

    Running trials count as taken until their leases are over. After a series of failures that
    ended the study nothing is left: `retry` or a run by hand has to say that it may go on.
    """
    spec = from_plain(store.require_study(study).spec)
    lost = {held.number for held in store.held_trials(study) if held.is_lost}
    sampler = samplers.load(spec.sampler.name)
    reason = budget.stop_reason(
        spec.budget,
        [row for row in store.outcomes(study) if row.number not in lost],
        goal=spec.metric.goal,
        seconds=seconds_of_runs(store, study) if spec.budget.time is not None else 0.0,
        limit=sampler.limit(spec, spec.sampler.options),
    )
    if reason is None:
        return True
    return not budget.ended_by_failures(reason) and finals.are_open(spec, store)
