"""Where text goes: data to standard output, everything else to standard error."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from selector.errors import (
    ConflictError,
    InterruptedRun,
    LimitsUnmetError,
    NoCandidateError,
    SelectorError,
)

if TYPE_CHECKING:
    from selector.store import Store

WIDTH = 100  # columns of a table that no terminal shows


def data(text: str) -> None:
    """Print what was asked for."""
    typer.echo(text.rstrip("\n"))


def note(text: str) -> None:
    """Print a remark for people."""
    typer.echo(printable(text), err=True)


def explain(error: SelectorError) -> None:
    """Print an error: one line a problem."""
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
