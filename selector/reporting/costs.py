"""What networks cost beside what they may cost."""

from __future__ import annotations

from collections.abc import Sequence

from selector.records import NetworkCost
from selector.reporting import figures
from selector.reporting.base import Column, ShownTable
from selector.spec.limits import exceeded
from selector.spec.schema import LimitsSpec


def costs_table(costs: Sequence[NetworkCost], limits: LimitsSpec) -> ShownTable:
    """One row a backbone and image size, with the limits it exceeds; the last one has the limits.

    Without costs the table has no rows.
    """
    columns = (
        Column("backbone"),
        Column("px", right=True),
        Column("params M", right=True),
        Column("MB", right=True),
        Column("ms", right=True),
        Column("left out for"),
    )
    rows = [
        (
            figures.safe(cost.backbone),
            str(cost.image_size),
            figures.millions(cost.parameters),
            f"{cost.size_mb:.1f}",
            figures.milliseconds(cost.latency_ms),
            ", ".join(exceeded(cost, limits)),
        )
        for cost in costs
    ]
    allowed = (
        "allowed at most",
        "",
        figures.millions(None if limits.parameters is None else round(limits.parameters)),
        figures.MISSING if limits.size_mb is None else f"{limits.size_mb:.1f}",
        figures.milliseconds(limits.latency_ms),
        "",
    )
    where = {(cost.device, cost.threads) for cost in costs if cost.latency_ms is not None}
    on = "".join(f", ms on {device} with {threads} threads" for device, threads in sorted(where))
    return ShownTable(f"Limits{on}", columns, (*rows, allowed) if rows else ())
