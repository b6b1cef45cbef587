"""The other side of `local`: what runs in the process of a worker."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from selector.errors import SelectorError
from selector.events import Event, Observer
from selector.executors.base import Worker
from selector.interrupts import Terminated, leave, stop_with_parent, terminable
from selector.records import Seat

Result = TypeVar("Result")

STOPPED = 143  # as a shell reports a program that SIGTERM ended


@dataclass(frozen=True, slots=True)
class Finished(Generic[Result]):
    """The worker's last word: what it gave."""

    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker's last word: an error raised on purpose."""

    exit_code: int
    text: str
    trial: int | None = None
    epoch: int | None = None


def main(worker: Worker[Any], seat: Seat, events: Connection, output: Connection) -> None:
    """Run the worker; send its events and its end through `events`, all it prints to `output`."""
    observe = heard_through(events, output)
    try:
        # Whoever started it kills it where it takes too long: it need not be told twice.
        with terminable(once=True):
            heed_the_parent()
            events.send(Finished(worker(seat, observe)))
    except SelectorError as error:
        events.send(Failed(error.exit_code, str(error), error.trial, error.epoch))
    except KeyboardInterrupt:
        leave(STOPPED)


def heard_through(events: Connection, output: Connection) -> Observer:
    """Has the process that started this one hear its events, and all that it prints."""
    for printed in (1, 2):
        os.dup2(output.fileno(), printed)
    output.close()

    def observe(event: Event) -> None:
        try:
            events.send(event)
        except OSError:  # nobody is there to read it
            raise Terminated from None

    return observe


def heed_the_parent() -> None:
    """Be stopped by the process that started this one, and by its end; call it when terminable.

    SIGTERM waits since before this process was started, and so does Ctrl-C, which stays away: the
    other process hears it too and says when to stop.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=stop_with_parent, daemon=True).start()
