"""What was expected of each backbone before training, beside what came out."""

from __future__ import annotations

import dataclasses
from typing import Any

from selector.records import ProxyAudit
from selector.reporting import figures
from selector.reporting.base import Column, ShownTable
from selector.selection.proxies import ENOUGH

TOO_FEW = "too few backbones"


def tables(audit: ProxyAudit | None) -> tuple[ShownTable, ...]:
    """One row a backbone, in the order that the proxies gave; no table without proxies."""
    if audit is None:
        return ()
    metric = figures.with_arrow(audit.metric, audit.goal)
    columns = (
        Column("backbone"),
        Column("kNN", right=True),
        Column("probe", right=True),
        Column("params M", right=True, drop=2),
        Column(f"best {metric}", right=True),
        Column("size", right=True, drop=1),
    )
    rows = tuple(
        (
            figures.safe(row.backbone),
            figures.score(row.knn),
            figures.score(row.probe),
            figures.millions(row.parameters),
            figures.score(audit.best_scores.get(row.backbone)),
            str(row.image_size),
        )
        for row in audit.proxies
    )
    return (ShownTable("Backbones before training", columns, rows),)


def notes(audit: ProxyAudit | None) -> tuple[str, ...]:
    """The rank correlations in one line, or why there are none; nothing without proxies."""
    if audit is None:
        return ()
    compared = len(audit.best_scores)
    if compared < ENOUGH:
        return (
            f"Rank correlation of proxies and best scores: {TOO_FEW} "
            f"({compared} with a score, {ENOUGH} needed)",
        )
    parts = (("probe", audit.probe), ("kNN", audit.knn), ("parameter count", audit.parameters))
    shown = ", ".join(f"{name} {_correlation(value)}" for name, value in parts)
    return (f"Rank correlation with the best scores of {compared} backbones: {shown}",)


def document(audit: ProxyAudit | None) -> dict[str, Any]:
    """The audit under the key `proxies`, as plain JSON; nothing without proxies."""
    if audit is None:
        return {}
    plain = {
        "metric": {"name": audit.metric, "goal": audit.goal},
        "backbones": [
            {**dataclasses.asdict(row), "best_score": audit.best_scores.get(row.backbone)}
            for row in audit.proxies
        ],
        "rank_correlation": {
            "compared": len(audit.best_scores),
            "knn": audit.knn,
            "probe": audit.probe,
            "parameters": audit.parameters,
            "note": TOO_FEW if len(audit.best_scores) < ENOUGH else None,
        },
    }
    return {"proxies": plain}


def _correlation(value: float | None) -> str:
    return figures.MISSING if value is None else f"{value:+.2f}"
