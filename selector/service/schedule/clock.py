"""The scheduler's only source of time."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Protocol

from selector.store import Store


class Clock(Protocol):
    """Says how late it is, and lets time pass."""

    def now(self) -> dt.datetime:
        """The time of the day, in UTC."""
        ...

    def wait(self, seconds: float, pipes: Sequence[Connection]) -> float:
        """Wait so long, or until one of the pipes can be read; gives how long that was."""
        ...


class StoreClock:
    """The store's time, so that schedulers whose own clocks differ agree on what is due."""

    def __init__(self, store: Store) -> None:
        self._schedules = store.schedules

    def now(self) -> dt.datetime:
        """The time of the day by the store's clock."""
        return self._schedules.now()

    def wait(self, seconds: float, pipes: Sequence[Connection]) -> float:
        """Wait by this machine's clock, which nobody sets."""
        began = time.monotonic()
        if pipes:
            wait(pipes, timeout=seconds)
        else:
            time.sleep(seconds)
        return time.monotonic() - began
