"""How a run is watched: live on a terminal, plain lines elsewhere, or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selector.events import Event, Observer


@contextmanager
def watching(*, quiet: bool) -> Iterator[Observer]:
    """An observer that shows the run on standard error."""
    if quiet:
        yield _nothing
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        from selector.cli.live_view import LiveView

        with LiveView(Console(stderr=True, highlight=False)) as view:
            yield view
    else:
        from selector.cli.plain_view import PlainView

        yield PlainView()


def _nothing(event: Event) -> None:
    del event
