"""A study is let into the store: what it may not ship is left out of its search first.

What its networks cost is stored with the study, so a continued study never measures again: a
latency close to its limit cannot change the search space half way.
"""

from __future__ import annotations

from dataclasses import replace

from selector import tasks
from selector.events import DataProgress, LimitsChecked, Observer
from selector.preflight import Prepared
from selector.records import NetworkCost, StudyRow
from selector.registration import register
from selector.search import limits
from selector.spec.limits import left_out, narrowed
from selector.store import Store


def admit(prepared: Prepared, store: Store, *, observe: Observer) -> tuple[StudyRow, Prepared]:
    """The stored study, created where it is new, and the study as its limits let it be searched.

    Raises LimitsUnmetError where nothing may be shipped; a new study is then not stored.
    """
    spec, summary = prepared.spec, prepared.dataset.summary
    costs: tuple[NetworkCost, ...] = ()
    if store.study(spec.name) is None:
        costs = measured(prepared, observe=observe)
        narrowed(spec, costs)
    row = register(store, spec, summary)
    if not store.costs(spec.name):
        # Another process may have been first, and a run that was killed may have stored nothing.
        store.record_costs(spec.name, costs or measured(prepared, observe=observe))
    return row, within_limits(prepared, store.costs(spec.name), observe=observe)


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
