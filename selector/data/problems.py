"""Mistakes found in data, gathered so that all of them are shown at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LISTED = 10  # of one kind; a thousand broken files make the same point as ten


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the data. `kind` is a plural noun that groups mistakes of a sort.

    `way_out` says once what helps against all of a kind.
    """

    kind: str
    text: str
    way_out: str = ""


def lines(problems: Iterable[Problem]) -> list[str]:
    """The texts, grouped by kind, at most ten of each kind and then how many more there are."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    shown: list[str] = []
    for kind, alike in kinds.items():
        shown += [problem.text for problem in alike[:LISTED]]
        if len(alike) > LISTED:
            shown.append(f"... and {len(alike) - LISTED} more {kind}.")
        if alike[0].way_out:
            shown[-1] += f" {alike[0].way_out}"
    return shown
