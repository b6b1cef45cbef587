"""A study is let into the store: what it may not ship is left out of its search first.

What its networks cost is stored with the study, so a continued study never measures again: a
latency close to its limit cannot change the search space half way.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from selector import tasks
from selector.events import DataProgress, LimitsChecked, Observer
from selector.preflight import Prepared
from selector.records import NetworkCost
from selector.registration import Registered, register
from selector.search import limits
from selector.search.storage import RideOut, at_once
from selector.spec.limits import left_out, merged, narrowed, networks_of
from selector.store import Store


def admit(
    prepared: Prepared,
    store: Store,
    *,
    observe: Observer,
    accept_drift: bool = False,
    ride_out: RideOut = at_once,
) -> tuple[Registered, Prepared]:
    """The stored study, created where it is new, and the study as its limits let it be searched.

    Raises LimitsUnmetError where nothing may be shipped, and what `register` raises; the store is
    then as it was.
    """
    spec, name = prepared.spec, prepared.spec.name
    known = ride_out(lambda: store.costs(name) if store.study(name) is not None else ())
    costs = known
    if not networks_of(spec) <= {(cost.backbone, cost.image_size) for cost in known}:
        # A study that is new, or gets a new backbone; what was measured before stays as it was.
        costs = merged(known, measured(prepared, observe=observe))
    narrowed(spec, costs)
    enter = partial(
        register,
        store,
        spec,
        prepared.dataset.summary,
        base=prepared.base,
        accept_drift=accept_drift,
        costs=costs,
    )
    registered = ride_out(enter)
    if costs != known:
        ride_out(lambda: store.record_costs(name, costs))
    stored = ride_out(lambda: store.costs(name))
    return registered, within_limits(prepared, stored, observe=observe)


def measured(prepared: Prepared, *, observe: Observer) -> tuple[NetworkCost, ...]:
    """What each network of the study costs; nothing where the study has no limits."""
    return limits.measure(
        prepared.spec,
        base=prepared.base,
        task=tasks.load(prepared.spec.task),
        classes=len(prepared.dataset.class_names),
        progress=lambda done, total: observe(
            DataProgress(done=done, total=total, label="measuring costs", unit="networks")
        ),
    )


def within_limits(
    prepared: Prepared, costs: tuple[NetworkCost, ...], *, observe: Observer
) -> Prepared:
    """The study without what exceeds its limits; `observe` is told what that is.

    Raises LimitsUnmetError where nothing is left.
    """
    spec = narrowed(prepared.spec, costs)
    if costs:
        missing = left_out(prepared.spec, costs)
        observe(LimitsChecked(left_out=missing, kept=len(costs) - len(missing)))
    return replace(prepared, spec=spec)
