"""What happens as JSON for programs that collect logs: one object a line on standard error."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from selector.events import (
    DataProgress,
    Event,
    HeadsFused,
    NoticeFailed,
    PrefixUsed,
    RunPaused,
    RunReady,
    StoreSilent,
    TrialEnded,
    TrialLost,
    WriterFailed,
)

Level = Literal["debug", "info", "warning", "error"]

_LISTS_TO = 20  # items of a list; the rest is counted


class JsonView:
    """Prints every event of a run as one line; `study` is known before the run says it, or not."""

    def __init__(self, study: str | None = None) -> None:
        self._study = study

    def __call__(self, event: Event) -> None:
        """Print the event."""
        if isinstance(event, RunReady):
            self._study = event.study
        print_line(level_of(event), name_of(event), **{"study": self._study, **fields_of(event)})


class LoggedAsJson(logging.Handler):
    """What libraries log or warn of, in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        try:
            text = self.format(record)  # with the traceback, where there is one
        except (TypeError, ValueError):  # a mistake in somebody's logging stops nobody
            text = str(record.msg)
        print_line(level, "log", logger=record.name, text=text)


def print_line(level: Level, event: str, **fields: Any) -> None:
    """Print one line: time (UTC), level and name of what happened, then its fields."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    line = {"time": now, "level": level, "event": event, **_plain(fields)}
    # In one write, for several threads print; in ASCII, for no text may steer a terminal.
    sys.stderr.write(json.dumps(line, allow_nan=False) + "\n")
    sys.stderr.flush()


def name_of(event: Event | type[Event]) -> str:
    """What the event is called in a line: `trial_ended`."""
    kind = event if isinstance(event, type) else type(event)
    return re.sub(r"(?<=.)([A-Z])", r"_\1", kind.__name__).lower()


def level_of(event: Event) -> Level:
    """How much the event matters to whoever watches many runs."""
    match event:
        case DataProgress() | PrefixUsed() | HeadsFused():
            return "debug"
        case TrialLost() | StoreSilent() | RunPaused() | NoticeFailed() | WriterFailed():
            return "warning"
        case TrialEnded(state="failed"):
            return "warning"
        case _:
            return "info"


def fields_of(event: Event) -> dict[str, Any]:
    """The event's own fields; a trial's number is called `trial`."""
    names = (field.name for field in dataclasses.fields(event))
    return {_KEYS.get(name, name): getattr(event, name) for name in names}


_KEYS = {"number": "trial"}


def _plain(value: Any) -> Any:
    """The value in JSON's types: what is no finite number is null, and lists stay short."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case Path() | dt.datetime():
            return str(value)
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    items = list(value)
    return [_plain(item) for item in items[:_LISTS_TO]] + (
        [f"and {len(items) - _LISTS_TO} more"] if len(items) > _LISTS_TO else []
    )
