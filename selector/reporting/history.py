"""What a study took over from earlier ones, and what that was worth, as a table, notes and JSON."""

from __future__ import annotations

from typing import Any

from selector.records import HistoryAudit
from selector.reporting import figures
from selector.reporting.base import Column, ShownTable

_SHOWN = ("lr", "freeze_depth", "batch_size")


def tables(audit: HistoryAudit | None) -> tuple[ShownTable, ...]:
    """One row a reused recipe: where it is from, what it scored there and here."""
    if audit is None:
        return ()
    metric = figures.with_arrow(audit.metric, audit.goal)
    columns = (
        Column("from"),
        Column("distance", right=True, drop=1),
        Column("backbone", drop=2),
        Column("lr", right=True, drop=3),
        Column("freeze", right=True, drop=4),
        Column("batch", right=True, drop=5),
        Column("there", right=True),
        Column("trial", right=True),
        Column(f"here {metric}", right=True),
    )
    rows = tuple(
        (
            f"{figures.safe(each.study)}:{each.trial}",
            figures.MISSING if each.distance is None else f"{each.distance:.2f}",
            figures.safe(str(each.params.get("backbone", ""))),
            *(figures.value(each.params.get(name)) for name in _SHOWN),
            figures.score(each.score),
            figures.whole(trial),
            figures.score(score),
        )
        for each, trial, score in zip(audit.reused, audit.trials, audit.scores, strict=True)
    )
    return (ShownTable("Recipes of earlier studies", columns, rows),)


def notes(audit: HistoryAudit | None) -> tuple[str, ...]:
    """Whether the reused recipes helped, in one line; nothing where none was reused."""
    if audit is None:
        return ()
    gain = audit.gain
    if gain is None:
        return ("Whether the recipes of earlier studies helped cannot be said yet.",)
    verdict = "they helped" if gain > 0 else "they did not help"
    several = "one" if audit.compared == 1 else f"{audit.compared}"
    return (
        f"Recipes of earlier studies: best of {several} {figures.score(audit.best_reused)}, best "
        f"of this study's own first {several} {figures.score(audit.best_own)}: {verdict} "
        f"({gain:+.4f}).",
    )


def document(audit: HistoryAudit | None) -> dict[str, Any]:
    """The audit under the key `history`, as plain JSON; nothing without any."""
    if audit is None:
        return {}
    rows = zip(audit.reused, audit.trials, audit.scores, strict=True)
    return {
        "history": {
            "recipes": [
                {
                    "from": {"study": each.study, "trial": each.trial, "score": each.score},
                    "distance": each.distance,
                    "params": dict(each.params),
                    "trial": trial,
                    "score": score,
                }
                for each, trial, score in rows
            ],
            **{k: getattr(audit, k) for k in ("compared", "best_reused", "best_own", "gain")},
        }
    }
