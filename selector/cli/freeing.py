"""`gc`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selector.cli.options import OutputFormat, StoreUrl
from selector.cli.output import colour, data, reading, width

if TYPE_CHECKING:
    from selector.disk import Freeable
    from selector.reporting import Page

Name = Annotated[
    str | None,
    typer.Argument(metavar="[STUDY]", help="Only this study. Default: all.", show_default=False),
]
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
    from selector import reporting
    from selector.disk import free, freeable
    from selector.settings import load_settings

    settings = load_settings()
    folder = settings.cache if cache else None
    with reading(store) as opened:
        items = freeable(opened, artifacts=settings.artifacts, cache=folder, study=study)
        if not dry_run:
            items = free(opened, items, artifacts=settings.artifacts, cache=folder)
    page = _page(items, dry_run=dry_run)
    data(reporting.render(page, output, width=width(), color=colour()))


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


COMMANDS: Mapping[str, Callable[..., Any]] = {"gc": gc}
