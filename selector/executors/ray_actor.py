"""The other side of `ray`: an actor on a node, which keeps a worker's process and tells of it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from selector import processes
from selector.errors import SelectorError
from selector.events import Event
from selector.executors.base import GRACE_SECONDS, Worker
from selector.executors.child import Failed, Finished
from selector.executors.post import Post, stop, with_something
from selector.records import ProcessName, Seat

_MOST = 500  # messages that travel at once


@dataclass(frozen=True, slots=True)
class Began:
    """A process was started for the worker."""

    process: ProcessName


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The last word of a worker whose process died too often."""

    last_death: str


Message = Event | Began | Finished[Any] | Failed | GivenUp


class Actor:
    """One worker of a run, in a process of its own beside that of the Ray actor.

    Ray's process answers Ray and hears no signal of ours; the worker's own process can be told to
    stop, and what it held on the GPU is free when it ends.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        # A spawned process imports the program that started it, which is here Ray's own.
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._asked, self._ask = multiprocessing.Pipe(duplex=False)
        self._grace_seconds = GRACE_SECONDS

    def run(self, worker: Worker[Any], seat: Seat) -> Iterator[tuple[Message, ...]]:
        """Everything that happens to the worker, in order, until it ends or is stopped."""
        batch: list[Message] = []
        post = Post(worker, seat, batch.append)
        post.start()
        known = None
        try:
            while post.pid is not None:
                if post.pid != known:
                    known = post.pid
                    batch.append(Began(processes.named(known)))
                found, asked = with_something([post], self._asked, timeout=0 if batch else None)
                if asked:
                    return
                if not found or len(batch) >= _MOST:
                    yield tuple(batch)
                    batch.clear()
                for each in found:
                    each.take_in()
            batch.append(post.finished or GivenUp(post.last_death))
        except SelectorError as error:
            batch.append(Failed(error.exit_code, str(error)))
        finally:
            stop([post], grace_seconds=self._grace_seconds)
        yield tuple(batch)

    def stop(self, grace_seconds: float) -> None:
        """Have the worker hand its trial back and end; `run` ends after it, without a word."""
        self._grace_seconds = grace_seconds
        self._ask.send(None)
