"""A page for the terminal, as wide as the terminal is."""

from __future__ import annotations

import io

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selector.reporting.base import Page, ShownTable

_GAP = 2  # blanks between two columns


def write(page: Page, *, width: int, color: bool) -> str:
    """Title, facts, tables and notes; tables lose their least important columns to fit `width`."""
    output = io.StringIO()
    console = Console(
        file=output,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        legacy_windows=False,
    )
    # Text objects are printed as they are: brackets in a name are no markup.
    console.print(Text(page.title, style="bold"))
    if page.facts:
        console.print(_facts(page.facts))
    for table in page.tables:
        console.print(Text(f"\n{table.title}" if table.title else "", style="bold"))
        console.print(_table(table, width))
    if page.notes:
        console.print()
    for note in page.notes:
        console.print(Text(note))
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())


def _facts(facts: tuple[tuple[str, str], ...]) -> Table:
    grid = Table.grid(padding=(0, _GAP))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts:
        grid.add_row(Text(name), Text(text))
    return grid


def _table(table: ShownTable, width: int) -> Table:
    kept = _fitting(table, width)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for index in kept:
        column = table.columns[index]
        shown.add_column(
            Text(column.heading),
            justify="right" if column.right else "left",
            no_wrap=column.right,
            overflow="fold",
        )
    for number, row in enumerate(table.rows):
        style = "bold" if number in table.strong_rows else ""
        shown.add_row(*(Text(row[index]) for index in kept), style=style)
    return shown


def _fitting(table: ShownTable, width: int) -> list[int]:
    """The columns that fit side by side, the first to be dropped gone first."""
    widths = [
        max(cell_len(column.heading), *(cell_len(row[index]) for row in table.rows))
        for index, column in enumerate(table.columns)
    ]
    kept = list(range(len(widths)))
    while sum(widths[i] + _GAP for i in kept) > width:
        droppable = [i for i in kept if table.columns[i].drop]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda i: table.columns[i].drop))
    return kept
