"""A page as Markdown, with tables as GitHub and most others read them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from selector.reporting.base import Page, ShownTable

_MARKUP = re.compile(r"([\\`*\[\]<>|~])")


def write(page: Page, *, width: int, color: bool) -> str:  # noqa: ARG001 - the family's signature
    """A heading, then facts as a list, tables and notes."""
    blocks = [f"## {_escape(page.title)}"]
    if page.facts:
        blocks.append("\n".join(f"- {_escape(name)}: {_escape(text)}" for name, text in page.facts))
    for table in page.tables:
        if table.title:
            blocks.append(f"### {_escape(table.title)}")
        blocks.append(_table(table))
    blocks.extend(_escape(note) for note in page.notes)
    return "\n\n".join(blocks)


def _table(table: ShownTable) -> str:
    rule = ("---:" if column.right else "---" for column in table.columns)
    lines = [
        _line(_escape(column.heading) for column in table.columns),
        _line(rule),
        *(_line(_escape(cell) for cell in row) for row in table.rows),
    ]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)
