"""Ctrl-C and SIGTERM: a stop that waits for the step to end, and one that does not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from types import FrameType
from typing import NoReturn

HOLD_SECONDS = 4.0  # that a stop waits for the step to end
REPEAT_SECONDS = 0.5  # `timeout`, terminals and supervisors often send one stop twice


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def _never() -> None:
    """Nobody else asks."""


class Stop:
    """Asks whether this process was told to stop, and says when it may be.

    `elsewhere` gives the error to stop with where another way than signals asks for it; it is asked
    after every step, so it must not wait for anything.
    """

    def __init__(
        self,
        signals: _Signals | None,
        elsewhere: Callable[[], Exception | None] = _never,
    ) -> None:
        self._signals = signals
        self._elsewhere = elsewhere

    def asked(self) -> bool:
        """Whether a stop has arrived.

        From the first call on a stop waits for `obey`, at most HOLD_SECONDS, in which it has to be
        asked for again. Before, it is raised where it arrives.
        """
        if self._signals is not None:
            self._signals.held = True
            if self._signals.number is not None:
                return True
        return self._elsewhere() is not None

    def obey(self) -> None:
        """Raise KeyboardInterrupt, Terminated or the other way's error if a stop has arrived."""
        if self._signals is not None and self._signals.number is not None:
            self._signals.release()
            raise _stopped_by(self._signals.number)
        error = self._elsewhere()
        if error is not None:
            raise error


@contextmanager
def terminable(*, once: bool = False) -> Iterator[None]:
    """Raise KeyboardInterrupt or Terminated in the main thread when SIGINT or SIGTERM arrives.

    A second one raises again, or ends the process at once where that belongs to selector; `once`
    ignores it, for a process that is killed by another one if it takes too long. Outside of the
    main thread nothing is changed, and a signal that is ignored stays so.
    """
    global _current
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals, outer = _Signals(once=once), _current
    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, signals.arrive) for number in heard}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, signals.overdue)
    _current = signals
    try:
        yield
    finally:
        _current = outer
        signals.release()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back(elsewhere: Callable[[], Exception | None] = _never) -> Iterator[Stop]:
    """Within, a stop can wait for a good moment; no signal arrives outside of `terminable`."""
    try:
        yield Stop(_current, elsewhere)
    finally:
        if _current is not None:
            _current.release()


@contextmanager
def owned_process() -> Iterator[None]:
    """Within, the process is selector's alone: a second stop may end it without a further word."""
    global _owned
    before, _owned = _owned, True
    try:
        yield
    finally:
        _owned = before


@contextmanager
def signals_wait() -> Iterator[None]:
    """Signals reach this thread a moment later, and a process started meanwhile not at all.

    Ctrl-C goes to every process of the terminal; it is this one that tells the others to stop.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop_with_parent() -> None:
    """Wait, in a thread, until the process that started this one is gone; then stop this one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def leave(code: int) -> NoReturn:
    """End the process now that all is kept and closed.

    Taking torch down library by library can take longer than whoever sent the stop waits.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


class _Signals:
    """What has arrived since `terminable` began."""

    def __init__(self, *, once: bool) -> None:
        self.number: int | None = None
        self.held = False
        self._once = once
        self._since = 0.0

    def arrive(self, number: int, _frame: FrameType | None) -> None:
        """The handler of SIGINT and SIGTERM."""
        if self.number is None:
            self.number, self._since = number, time.monotonic()
            if not self.held:
                raise _stopped_by(number)
            signal.setitimer(signal.ITIMER_REAL, HOLD_SECONDS)
        elif not self._once and time.monotonic() - self._since >= REPEAT_SECONDS:
            if _owned:
                # Nothing is waited for; what is left half done is repaired by the next run.
                os._exit(128 + number)
            raise _stopped_by(number)

    def overdue(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of the timer: the step took too long."""
        if self.held and self.number is not None:
            self.release()
            raise _stopped_by(self.number)

    def release(self) -> None:
        """Hold nothing back any more."""
        if self.held:
            self.held = False
            signal.setitimer(signal.ITIMER_REAL, 0)


_current: _Signals | None = None  # signals belong to a process, not to an object
_owned = False


def _stopped_by(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
