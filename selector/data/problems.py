"""Mistakes found in data, gathered so that all of them are shown at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selector.errors import visible

LIST = "data-problems.txt"  # below the artifacts, of the latest data that was refused
LISTED = 10  # of one kind; a thousand broken files make the same point as ten


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the data. `kind` is a plural noun that groups mistakes of a sort.

    `way_out` says once what helps against all of a kind.
    """

    kind: str
    text: str
    way_out: str = ""


def lines_and_list(problems: Sequence[Problem], folder: Path) -> list[str]:
    """`lines`, and where some are left out a file in `folder` that names every one, one a line.

    Where it cannot be written, every problem is a line.
    """
    shown = lines(problems)
    everything = [visible(problem.text) for problem in problems]
    if len(everything) <= LISTED or not any(line.startswith("... and ") for line in shown):
        return shown
    path = folder / LIST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{LIST}.{os.getpid()}.tmp")
        temporary.write_text("\n".join(everything) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return everything
    return [*shown, f"All {len(everything)} problems are listed in '{path.absolute()}'."]


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
