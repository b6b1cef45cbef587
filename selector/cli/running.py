"""`run`, `worker` and `retry`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from selector.cli.options import (
    Format,
    MetricsPort,
    OutputFormat,
    Overrides,
    OwnLogFormat,
    Quiet,
    StoreUrl,
    StudyFile,
    StudyName,
)
from selector.cli.output import data, note, reading, rendered
from selector.cli.watching import port_of_metrics, watching
from selector.errors import InputError
from selector.events import Observer

POLL_SECONDS = 5.0  # between two looks for a study with work left
SHOWN = 10  # candidates printed when a run ends; `report` has them all

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan with its cost, and train nothing.")
]
AcceptDrift = Annotated[
    bool,
    typer.Option(
        "--accept-drift", help="Go on though data, weights or settings changed; recorded."
    ),
]
Fork = Annotated[
    str | None,
    typer.Option(metavar="NEWNAME", help="Run as another study.", show_default=False),
]
Causes = Annotated[
    list[str] | None,
    typer.Option(
        "--cause",
        metavar="CAUSE",
        help="Only those that failed for this, such as oom. Repeatable. Default: all.",
        show_default=False,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        help="Where the study file's relative paths start. Default: as in the latest run.",
        show_default=False,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option("--data", help="The study's images, where they lie here.", show_default=False),
]
Device = Annotated[
    str | None,
    typer.Option("--device", help="auto, cpu, cuda or cuda:N. Default: as in the study file."),
]
AnyStudy = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]",
        help="The study's name. Default: every study that has work left.",
        show_default=False,
    ),
]
Once = Annotated[
    bool, typer.Option("--once", help="Without STUDY: end when no study has work left.")
]


def run(
    file: StudyFile,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    store: StoreUrl = None,
    output: OutputFormat = "table",
    quiet: Quiet = False,
    accept_drift: AcceptDrift = False,
    fork: Fork = None,
    log_format: OwnLogFormat = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Search, prune and rank; the same command continues what is unfinished.

    Ends with the best candidates on standard output. After Ctrl-C trials go on where they were.
    """
    changes = [*(overrides or []), *([f"name={fork}"] if fork else [])]
    if dry_run:
        _print_plan(file, changes, output, quiet=quiet)
        return
    with watching(
        quiet=quiet, log_format=log_format, metrics_port=port_of_metrics(metrics_port)
    ) as observe:
        # Inside, for it takes seconds to import what trains.
        from selector.run import run as run_study

        board = run_study(
            file, overrides=changes, store=store, observe=observe, accept_drift=accept_drift
        )
    if output == "table":
        board = replace(board, candidates=board.candidates[:SHOWN])
    data(rendered(board, output))


def worker(
    name: AnyStudy = None,
    once: Once = False,
    folder: Folder = None,
    images: Images = None,
    device: Device = None,
    store: StoreUrl = None,
    quiet: Quiet = False,
    log_format: OwnLogFormat = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Take trials of a study that is in the store, beside those who already do.

    For a second terminal or another machine: it ends when the study's budget is spent. Without
    STUDY it serves all studies in turn, and waits for more.
    """
    port = port_of_metrics(metrics_port)
    if name is None:
        if folder is not None or images is not None:
            raise InputError("--folder and --data belong to one study: name it, worker STUDY.")
        watch = partial(watching, quiet=quiet, log_format=log_format, metrics_port=port)
        _roam(store, once=once, device=device, watch=watch)
        return
    if once:
        raise InputError(f"A worker of one study ends by itself; leave --once or '{name}' out.")
    with watching(quiet=quiet, log_format=log_format, metrics_port=port) as observe:
        from selector.run import join

        join(name, folder=folder, images=images, device=device, store=store, observe=observe)


def _roam(
    store: str | None,
    *,
    once: bool,
    device: str | None,
    watch: Callable[[], AbstractContextManager[Observer]],
) -> None:
    # Inside, for it takes seconds to import what trains.
    from selector.search.outages import open_store
    from selector.service.roaming import roam

    with watch() as observe:
        opened = open_store(store, observe=observe)
    with opened:
        roam(
            opened,
            watch=watch,
            say=note,
            pause=lambda: time.sleep(POLL_SECONDS),
            once=once,
            device=device,
        )


def _print_plan(file: Path, overrides: list[str], output: Format, *, quiet: bool) -> None:
    from selector.cli.plan_page import plan_page
    from selector.plan import estimate
    from selector.preflight import load_prepared

    with watching(quiet=quiet) as observe:
        prepared = load_prepared(file, overrides=overrides, observe=observe)
        plan = estimate(prepared, observe=observe)
    data(rendered(plan_page(plan), output))


def retry(name: StudyName, causes: Causes = None, store: StoreUrl = None) -> None:
    """Have the failed trials of a study run again, with the parameters they had.

    The next `selector run`, or a worker that runs now, takes them. They cost no further budget.
    """
    with reading(store) as opened:
        # Inside, for a store that is not there needs nothing else imported.
        from selector.search.retrying import retry as retry_failed

        found = retry_failed(opened, name, causes=causes or ())
    for trial in found.marked:
        note(f"trial {trial.number} runs again; it failed for {trial.failure_cause}")
    for trial in found.outside:
        note(f"trial {trial.number} stays as it is; the search space no longer has its parameters")
    if found.marked:
        note(f"Go on with: selector run FILE, or selector worker {name}")
    elif not found.outside:
        note(f"No trial of study '{name}' failed, or all that did run again already.")


COMMANDS: Mapping[str, Callable[..., Any]] = {"run": run, "worker": worker, "retry": retry}
