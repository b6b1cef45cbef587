"""Where text goes: data to standard output, everything else to standard error."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import typer

from selector.errors import (
    ConflictError,
    InterruptedRun,
    LimitsUnmetError,
    NoCandidateError,
    SelectorError,
)

if TYPE_CHECKING:
    from selector.cli.json_lines import Level
    from selector.cli.options import Format
    from selector.records import Leaderboard
    from selector.reporting import Page
    from selector.store import Store

WIDTH = 100  # columns of a table that no terminal shows


LogFormat = Literal["text", "json"]
_log_format: LogFormat = "text"
_logged: logging.Handler | None = None


def use_log_format(wanted: LogFormat) -> None:
    """Print what is for people or logs on standard error as text, or as JSON lines."""
    global _log_format, _logged
    _log_format = wanted
    if _logged is not None:
        logging.getLogger().removeHandler(_logged)
        logging.captureWarnings(False)
        _logged = None
    if wanted == "json":
        from selector.cli.json_lines import LoggedAsJson

        _logged = LoggedAsJson(level=logging.WARNING)
        logging.getLogger().addHandler(_logged)
        logging.captureWarnings(True)


def log_format() -> LogFormat:
    """How standard error is written."""
    return _log_format


def data(text: str) -> None:
    """Print what was asked for."""
    typer.echo(text.rstrip("\n"))


def note(text: str) -> None:
    """Print a remark for people."""
    if _log_format == "json":
        from selector.cli.json_lines import print_line

        print_line("info", "note", text=text)
        return
    typer.echo(printable(text), err=True)


def explain(error: SelectorError) -> None:
    """Print an error: one line a problem."""
    if _log_format == "json":
        from selector.cli.json_lines import print_line

        level: Level = "info" if isinstance(error, InterruptedRun) else "error"
        print_line(level, "ended", exit_code=error.exit_code, text=str(error))
        return
    if isinstance(error, InterruptedRun):
        note(str(error))
        return
    first, *rest = str(error).splitlines() or [type(error).__name__]
    note(f"error: {first}")
    for line in rest:
        # These lines belong to one message; elsewhere each is a problem of its own.
        one_message = isinstance(error, ConflictError | LimitsUnmetError | NoCandidateError)
        note(line if one_message else f"error: {line}")


def printable(text: str) -> str:
    """The text with control characters spelled out, so that no name can steer the terminal."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def rendered(content: Leaderboard | Page, output: Format) -> str:
    """A leaderboard or a page as text, as wide and as colourful as standard output is."""
    from selector import reporting

    return reporting.render(content, output, width=width(), color=colour())


def width() -> int:
    """Columns for a table: the terminal's, or a fixed number where there is none."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def colour() -> bool:
    """Whether standard output may be coloured."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@contextmanager
def reading(url: str | None) -> Iterator[Store]:
    """The store to read from; it is never created by looking at it."""
    from selector.errors import UnavailableError
    from selector.settings import load_settings
    from selector.store import Store
    from selector.store.engine import parse_url, safe_url, sqlite_file

    wanted = url or load_settings().store
    file = sqlite_file(parse_url(wanted))
    if file is not None and not file.exists():
        raise UnavailableError(
            f"There is no store at {safe_url(wanted)} yet. Run a study first, go to the folder "
            "it ran in, or name the store with --store or SELECTOR_STORE."
        )
    with Store.open(wanted) as store:
        yield store
