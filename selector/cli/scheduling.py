"""`schedule`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selector.cli.options import Format, OutputFormat, StoreUrl
from selector.cli.output import data, note, reading, rendered
from selector.errors import InputError

if TYPE_CHECKING:
    from selector.events import Event
    from selector.service.schedule.running import Watch

Places = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILES_OR_FOLDERS...",
        help="Study files, and folders of them. --list shows all of the store without any.",
        show_default=False,
    ),
]
Once = Annotated[
    bool, typer.Option("--once", help="Run what is due now, and end with the worst exit code.")
]
Listed = Annotated[
    bool, typer.Option("--list", help="Show the next and the latest due times, and run nothing.")
]
Limit = Annotated[
    int, typer.Option(min=1, metavar="N", help="Studies that may run at the same time.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def schedule(
    places: Places = None,
    once: Once = False,
    listed: Listed = False,
    limit: Limit = 1,
    store: StoreUrl = None,
    output: OutputFormat = "table",
    quiet: Quiet = False,
) -> None:
    """Run studies when their schedule says so, until stopped.

    Several of these may share a store, on one machine or many: each due time is run by one.
    """
    if once and listed:
        raise InputError("--once and --list exclude each other; keep one of them.")
    if listed:
        _list(places or [], store, output)
        return
    if not places:
        raise InputError("Name the study files to serve, or a folder of them, such as studies.")
    codes = _serve(places, store, once=once, limit=limit, quiet=quiet)
    if worst := max(codes, default=0):
        raise typer.Exit(worst)


def _serve(
    places: Sequence[Path], store: str | None, *, once: bool, limit: int, quiet: bool
) -> tuple[int, ...]:
    """The exit codes of all that ran, and of files that cannot be served."""
    from selector.search.outages import open_store
    from selector.service.schedule.child import renew_study
    from selector.service.schedule.files import StudyFiles
    from selector.service.schedule.process import launcher
    from selector.service.schedule.scheduler import Scheduler
    from selector.settings import load_settings

    settings = load_settings()
    files = StudyFiles(places)
    listing = files.read() if once else files.require()
    watch = _quiet if quiet else _prefixed()
    with open_store(store, observe=partial(watch, "")) as opened:
        scheduler = Scheduler(
            opened,
            files,
            launcher(renew_study, store=opened.url),
            watch=watch,
            lease_seconds=settings.lease_seconds,
            limit=limit,
        )
        if not once:
            if not quiet:
                count = len(listing.studies)
                note(f"Serving {count} {'study' if count == 1 else 'studies'} until stopped.")
            scheduler.serve()
        outcomes = scheduler.once(patience_seconds=settings.outage_seconds)
    if not outcomes and not quiet:
        note("Nothing is due.")
    return (
        *(outcome.exit_code for outcome in outcomes),
        *(InputError.exit_code for _ in listing.problems),
    )


def _list(places: Sequence[Path], store: str | None, output: Format) -> None:
    from selector.reporting.schedules import schedules_page
    from selector.service.schedule.files import StudyFiles
    from selector.service.schedule.listing import schedules_of

    with reading(store) as opened:
        listing = StudyFiles(places).require() if places else None
        for line in listing.problems.values() if listing is not None else ():
            note(f"not served: {line}")
        page = schedules_page(*schedules_of(opened, listing))
    data(rendered(page, output))


def _prefixed() -> Watch:
    """Prints what happens in plain lines, those of a study under its name."""
    from selector.cli.plain_view import PlainView

    views: dict[str, PlainView] = {}

    def watch(study: str, event: Event) -> None:
        if study not in views:
            before = f"[{study}] " if study else ""
            views[study] = PlainView(lambda line: note(f"{before}{line}"))
        views[study](event)

    return watch


def _quiet(study: str, event: Event) -> None:
    del study, event


COMMANDS: Mapping[str, Callable[..., Any]] = {"schedule": schedule}
