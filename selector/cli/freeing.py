"""`gc` and `delete`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selector.cli.options import OutputFormat, StoreUrl, StudyName
from selector.cli.output import data, note, reading, rendered
from selector.errors import InputError

if TYPE_CHECKING:
    from selector.disk import Freeable
    from selector.records import StudyContents
    from selector.reporting import Page

Name = Annotated[
    str | None,
    typer.Argument(metavar="[STUDY]", help="Only this study. Default: all.", show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Force = Annotated[bool, typer.Option("--force", help="Although workers hold trials of it.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be freed, and free nothing.")
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache", help="Free decoded images and frozen stages' outputs too; they come back."
    ),
]


def gc(
    study: Name = None,
    dry_run: DryRun = False,
    cache: Cache = False,
    output: OutputFormat = "table",
    store: StoreUrl = None,
) -> None:
    """Free checkpoints beyond `keep`, and what killed processes left behind."""
    from selector.disk import free, freeable
    from selector.settings import load_settings

    settings = load_settings()
    folder = settings.cache if cache else None
    with reading(store) as opened:
        items = freeable(opened, artifacts=settings.artifacts, cache=folder, study=study)
        if not dry_run:
            items = free(opened, items, artifacts=settings.artifacts, cache=folder)
    page = _page(items, dry_run=dry_run)
    data(rendered(page, output))


def delete(
    study: StudyName,
    yes: Yes = False,
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
    output: OutputFormat = "table",
    store: StoreUrl = None,
) -> None:
    """Delete a study: its trials, its rows, its files here. Exported bundles stay.

    So do openings of the test split: what was seen stays seen. Says first what goes, and asks for
    the study's name. What was interrupted is completed by the same command.
    """
    with reading(store) as opened:
        # Inside, for it takes seconds to import what deletes.
        from selector import deletion
        from selector.settings import load_settings

        artifacts = load_settings().artifacts
        going = deletion.contents(opened, study, artifacts=artifacts)
        if dry_run:
            shown = _going_page(going)
            data(rendered(shown, output))
            return
        for name, said in _going(going):
            note(f"{name:<7} {said}")
        if not yes:
            _ask(study)
        deletion.delete(opened, study, artifacts=artifacts, force=force)
    note(f"Deleted study '{study}'.")


def _going_page(going: StudyContents) -> Page:
    """What a deletion would free."""
    from selector.reporting import Page, figures
    from selector.reporting.base import FlatTable

    raw: dict[str, str | int] = {
        "study": going.study,
        "trials": going.trials,
        "rows": sum(going.rows.values()),
        "files": len(going.files),
        "bytes": going.bytes,
        "openings": going.openings,
    }
    return Page(
        title=f"What deleting {figures.safe(going.study)} would free",
        facts=tuple((name, figures.safe(said)) for name, said in _going(going)),
        document=lambda: {
            "dry_run": True,
            **raw,
            "rows": dict(going.rows),
            "optuna_studies": list(going.optuna_studies),
            "files": [str(path) for path in going.files],
        },
        flat=lambda: FlatTable(tuple(raw), (tuple(raw.values()),)),
    )


def _going(going: StudyContents) -> tuple[tuple[str, str], ...]:
    """What a deletion frees, for people: a word, and what is said of it."""
    from selector.cli.wording import size

    tables = ", ".join(
        f"{table.removeprefix('selector_').replace('_', ' ')} {count:,}"
        for table, count in going.rows.items()
    )
    rows = sum(going.rows.values())
    opened = f"{going.openings} opening{'' if going.openings == 1 else 's'} of the test split"
    why = "other studies on the same data are still told that somebody has looked"
    return (
        ("study", f"{going.study}: {going.trials:,} trials, those of its finals included"),
        ("store", f"{rows:,} rows" + (f" ({tables})" if tables else "")),
        ("optuna", ", ".join(going.optuna_studies) or "nothing"),
        ("files", f"{len(going.files):,} here, {size(going.bytes)}; exported bundles stay"),
        *((("stays", f"{opened}: {why}"),) if going.openings else ()),
    )


def _ask(study: str) -> None:
    """Have the study's name typed; InputError without a terminal, or where it is another."""
    if not sys.stdin.isatty():
        raise InputError(
            f"Study '{study}' is not deleted: nobody can be asked here. Add --yes to delete it."
        )
    typed = typer.prompt(
        "Type the study's name to delete it", default="", show_default=False, err=True
    )
    if typed.strip() != study:
        raise InputError("That is not its name; nothing is deleted.")


def _page(items: Sequence[Freeable], *, dry_run: bool) -> Page:
    from selector.cli.wording import size
    from selector.reporting import Page, figures
    from selector.reporting.base import Column, FlatTable, ShownTable, present

    names = ("kind", "study", "trial", "bytes", "path")
    raw = tuple((i.kind, i.study, i.trial, i.bytes, str(i.path)) for i in items)
    columns = (
        Column("kind"),
        Column("study"),
        Column("trial", right=True),
        Column("size", right=True),
        Column("file", drop=1),
    )
    rows = tuple(
        (
            item.kind,
            figures.safe(item.study or ""),
            "" if item.trial is None else str(item.trial),
            size(item.bytes),
            figures.safe(item.path.name),
        )
        for item in items
    )
    total = size(sum(item.bytes for item in items))
    verb = "would be freed" if dry_run else "freed"
    return Page(
        title=f"{total} {verb} in {len(items)} files",
        tables=present(ShownTable("", columns, rows)),
        document=lambda: {
            "dry_run": dry_run,
            "bytes": sum(item.bytes for item in items),
            "items": [dict(zip(names, row, strict=True)) for row in raw],
        },
        flat=lambda: FlatTable(names, raw),
    )


COMMANDS: Mapping[str, Callable[..., Any]] = {"gc": gc, "delete": delete}
