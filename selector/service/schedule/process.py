"""The process of one firing, seen from the scheduler: a study that crashes takes nobody along."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from selector.errors import visible
from selector.events import Observer, ScheduleNote
from selector.executors.printed import Printed
from selector.interrupts import signals_wait
from selector.records import Outcome
from selector.service.schedule.child import Fire, main

_spawn = multiprocessing.get_context("spawn")


class Fired(Protocol):
    """Something that was fired and runs by itself."""

    @property
    def pipes(self) -> Sequence[Connection]:
        """What can be read when there is something to take in."""
        ...

    def take_in(self) -> Outcome | None:
        """Pass on what has arrived, without waiting; the outcome once it has ended."""
        ...

    def stop(self) -> None:
        """Ask it to end soon, in a way that it can be resumed from."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


Launch = Callable[[Path, Observer], Fired]


def launcher(fire: Fire, *, store: str) -> Launch:
    """Starts a process that calls `fire` for a study file, on the store behind a full URL."""
    return partial(FiringProcess, fire, store)


class FiringProcess:
    """One spawned process; its events and what it prints go to `observe`."""

    def __init__(self, fire: Fire, store: str, file: Path, observe: Observer) -> None:
        self._observe = observe
        self._outcome: Outcome | None = None
        self._last = ""  # that it printed
        self._events, events = _spawn.Pipe(duplex=False)
        printed, output = _spawn.Pipe(duplex=False)
        self._printed = Printed(printed, self._say)
        # No daemon: those may not start processes, as a study with several workers does.
        self._process = _spawn.Process(target=main, args=(fire, str(file), store, events, output))
        with signals_wait():
            self._process.start()
        # Only the child holds these ends now, so its death ends both pipes.
        events.close()
        output.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid or 0

    @property
    def pipes(self) -> Sequence[Connection]:
        """Its events; what it prints is read along with them."""
        return () if self._events.closed else (self._events, self._printed.pipe)

    def take_in(self) -> Outcome | None:
        """Pass on events and whole printed lines; the outcome once the process is gone."""
        if self._events.closed:
            return self._outcome
        # Asked first: what it sent before its end has arrived by then. Something that it started
        # may hold its pipes open for longer.
        ended = not self._process.is_alive()
        self._printed.take_in()
        while self._events.poll():
            try:
                message = self._events.recv()
            except (EOFError, OSError):  # its end, or killed in the middle of a message
                ended = True
                break
            if isinstance(message, Outcome):
                self._outcome = message
            else:
                self._observe(message)
        return self._settle() if ended else None

    def stop(self) -> None:
        """Send SIGTERM: a run hands its trial back."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def _settle(self) -> Outcome:
        self._printed.take_in_all()
        self._process.join()
        code = self._process.exitcode or 0
        for pipe in (self._events, self._printed.pipe):
            pipe.close()
        if self._outcome is None:
            self._outcome = self._death(code)
        return self._outcome

    def _death(self, code: int) -> Outcome:
        if code < 0:
            return Outcome(exit_code=128 - code, line=f"was killed by {signal.Signals(-code).name}")
        return Outcome(exit_code=code or 1, line=self._last or f"died with exit code {code}")

    def _say(self, line: str) -> None:
        self._last = visible(line)
        self._observe(ScheduleNote(text=self._last))
