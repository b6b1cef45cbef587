"""How a run is watched: live on a terminal, plain lines elsewhere, JSON, or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from selector.cli.output import LogFormat, note, use_log_format
from selector.cli.output import log_format as current_log_format

if TYPE_CHECKING:
    from selector.events import Event, Observer


@contextmanager
def watching(
    *, quiet: bool, log_format: LogFormat | None = None, metrics_port: int | None = None
) -> Iterator[Observer]:
    """An observer that shows the run on standard error, and feeds metrics where they are served."""
    if log_format is not None:
        use_log_format(log_format)
    with _measured(metrics_port) as measure, _shown(quiet=quiet) as show:

        def observe(event: Event) -> None:
            measure(event)
            show(event)

        yield observe


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Observer]:
    if quiet:
        yield _nothing
    elif current_log_format() == "json":
        from selector.cli.json_lines import JsonView

        yield JsonView()
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        from selector.cli.live_view import LiveView

        with LiveView(Console(stderr=True, highlight=False)) as view:
            yield view
    else:
        from selector.cli.plain_view import PlainView

        yield PlainView()


def port_of_metrics(option: int | None) -> int | None:
    """Where a command that trains serves its metrics: as it was told, or the environment says."""
    from selector.settings import load_settings

    return load_settings().metrics_port if option is None else option


@contextmanager
def _measured(port: int | None) -> Iterator[Observer]:
    if port is None:
        yield _nothing
        return
    from selector.monitoring import RunMetrics, serving
    from selector.settings import load_settings

    settings = load_settings()
    metrics = RunMetrics(cache=settings.cache)
    with serving(metrics.registry, host=settings.metrics_host, port=port) as address:
        note(f"Metrics: {address}")
        yield metrics


def _nothing(event: Event) -> None:
    del event
