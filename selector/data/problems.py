"""Mistakes found in data, gathered so that all of them are shown at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LISTED = 10  # of one kind; a thousand broken files make the same point as ten


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the data. `kind` is a plural noun that groups mistakes of a sort."""

    kind: str
    text: str


def lines(problems: Iterable[Problem]) -> list[str]:
    """The texts, grouped by kind, at most ten of each kind and then how many more there are."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem.text)
    shown: list[str] = []
    for kind, texts in kinds.items():
        shown += texts[:LISTED]
        if len(texts) > LISTED:
            shown.append(f"... and {len(texts) - LISTED} more {kind}.")
    return shown
