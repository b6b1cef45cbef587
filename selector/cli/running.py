"""`run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from selector.cli.options import Format, OutputFormat, Overrides, StoreUrl, StudyFile
from selector.cli.output import colour, data, width
from selector.cli.watching import watching

SHOWN = 10  # candidates printed when a run ends; `report` has them all

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan with its cost, and train nothing.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def run(
    file: StudyFile,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    store: StoreUrl = None,
    output: OutputFormat = "table",
    quiet: Quiet = False,
) -> None:
    """Search, prune and rank; the same command continues what is unfinished.

    Ends with the best candidates on standard output. Ctrl-C loses at most the trial that runs.
    """
    if dry_run:
        _print_plan(file, overrides or [], output, quiet=quiet)
        return
    with watching(quiet=quiet) as observe:
        # Inside, for it takes seconds to import what trains.
        from selector.run import run as run_study

        board = run_study(file, overrides=overrides or (), store=store, observe=observe)
    from selector import reporting

    if output == "table":
        board = replace(board, candidates=board.candidates[:SHOWN])
    data(reporting.render(board, output, width=width(), color=colour()))


def _print_plan(file: Path, overrides: list[str], output: Format, *, quiet: bool) -> None:
    from selector import reporting
    from selector.cli.plan_page import plan_page
    from selector.plan import estimate
    from selector.preflight import load_prepared

    with watching(quiet=quiet) as observe:
        prepared = load_prepared(file, overrides=overrides, observe=observe)
        plan = estimate(prepared, observe=observe)
    data(reporting.render(plan_page(plan), output, width=width(), color=colour()))


COMMANDS: Mapping[str, Callable[..., Any]] = {"run": run}
