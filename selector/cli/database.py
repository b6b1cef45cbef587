"""`db status`, `db backup` and `db upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selector.cli.options import OutputFormat, StoreUrl
from selector.cli.output import data, note, rendered

if TYPE_CHECKING:
    from selector.records import SchemaStatus

Into = Annotated[
    Path | None,
    typer.Option(
        "--into",
        help="The folder of the copy. Default: next to a SQLite file, or here.",
        show_default=False,
    ),
]
NoBackup = Annotated[bool, typer.Option("--no-backup", help="Make no copy first.")]
Force = Annotated[bool, typer.Option("--force", help="Although workers hold trials.")]

STATES = {
    "absent": "not made yet",
    "current": "up to date",
    "older": "older: selector db upgrade",
    "newer": "newer than this program",
}

app = typer.Typer(no_args_is_help=True, help="The store's schema: look at it, copy it, upgrade it.")


@app.command("status")
def status(output: OutputFormat = "table", store: StoreUrl = None) -> None:
    """Say which schema the store has, and which one this program needs; exits 3 if they differ."""
    from selector import database
    from selector.errors import ConflictError
    from selector.reporting import Page
    from selector.reporting.base import Column, FlatTable, ShownTable
    from selector.store import safe_url

    url = _url(store)
    found = database.status(url)
    names = ("tables", "here", "needed", "state")
    raw = tuple(tuple(getattr(each, name) for name in names) for each in found)
    shown = tuple((each.tables, each.here or "", each.needed, STATES[each.state]) for each in found)
    page = Page(
        title=safe_url(url),
        tables=(ShownTable("", tuple(Column(name) for name in names), shown),),
        document=lambda: [dict(zip(names, row, strict=True)) for row in raw],
        flat=lambda: FlatTable(names, raw),
    )
    data(rendered(page, output))
    if any(each.state in ("older", "newer") for each in found):
        raise typer.Exit(ConflictError.exit_code)


@app.command("backup")
def backup(into: Into = None, store: StoreUrl = None) -> None:
    """Copy the whole database, Optuna's tables too, and print where the copy is."""
    from selector import database

    data(str(database.backup(_url(store), folder=into)))


@app.command("upgrade")
def upgrade(
    no_backup: NoBackup = False, into: Into = None, force: Force = False, store: StoreUrl = None
) -> None:
    """Bring an older store to the schema that this program needs, after a backup.

    No other command changes the schema of a store that holds something. Stop all runs first.
    """
    from selector import database

    done = database.upgrade(_url(store), with_backup=not no_backup, folder=into, force=force)
    if done.backup is not None:
        note(f"Backup: {done.backup}")
    for before, after in zip(done.before, done.after, strict=True):
        note(_line(before, after))


def _line(before: SchemaStatus, after: SchemaStatus) -> str:
    name = "selector's" if before.tables == "selector" else "Optuna's"
    if before.here == after.here:
        return f"{name} tables: {after.here}, nothing to do"
    if before.here is None:
        return f"{name} tables: made, {after.here}"
    return f"{name} tables: {before.here} -> {after.here}"


def _url(store: str | None) -> str:
    from selector.settings import load_settings

    return store or load_settings().store
