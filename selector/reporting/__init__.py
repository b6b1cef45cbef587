"""Results as text: leaderboard and overviews, each in every format. Nothing is printed here."""

from __future__ import annotations

from selector.errors import UnknownNameError
from selector.records import Leaderboard
from selector.reporting import leaderboard as _leaderboard
from selector.reporting.base import Format, Page
from selector.reporting.champions import champion_page, champions_page, history_page, renewal_page
from selector.reporting.comparison import compare_stored, comparison_page
from selector.reporting.finals import opening_page
from selector.reporting.studies import studies_page
from selector.reporting.study import study_page
from selector.reporting.trial import trial_page

__all__ = [
    "Format",
    "Page",
    "champion_page",
    "champions_page",
    "compare_stored",
    "comparison_page",
    "formats",
    "history_page",
    "load",
    "opening_page",
    "render",
    "renewal_page",
    "studies_page",
    "study_page",
    "trial_page",
]


def formats() -> tuple[str, ...]:
    """The names of the formats, the default first."""
    return ("table", "json", "csv", "md")


def load(name: str) -> Format:
    """The writer of a format; an unknown name is an UnknownNameError."""
    match name:
        case "table":
            from selector.reporting.as_table import write
        case "json":
            from selector.reporting.as_json import write
        case "csv":
            from selector.reporting.as_csv import write
        case "md":
            from selector.reporting.as_markdown import write
        case _:
            raise UnknownNameError("format", name, formats())
    return write


def render(
    content: Leaderboard | Page, fmt: str = "table", *, width: int = 100, color: bool = False
) -> str:
    """A leaderboard or a page as text in the format `fmt`, without a line end at its end.

    `width` (terminal columns) and `color` matter to `table` only.
    """
    page = _leaderboard.page(content) if isinstance(content, Leaderboard) else content
    return load(fmt)(page, width=width, color=color)
