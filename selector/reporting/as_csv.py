"""A page's main table as CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math

from selector.reporting.base import Cell, Page
from selector.reporting.figures import safe


def write(page: Page, *, width: int, color: bool) -> str:  # noqa: ARG001 - the family's signature
    """The flat table with a header line; what is unknown or not finite is empty."""
    table = page.flat()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe(name) for name in table.columns])
    writer.writerows([[_cell(cell) for cell in row] for row in table.rows])
    return text.getvalue().removesuffix("\n")


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return safe(cell)
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    return cell.isoformat() if isinstance(cell, dt.datetime) else cell
