"""Workers as processes of this machine: spawned, watched, started again when they die."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from selector.errors import UnavailableError
from selector.events import Observer, TrialEnded, WorkerNote
from selector.executors.base import RESTARTS, Worker, same_error
from selector.executors.child import Failed, Finished, main
from selector.records import Seat

GRACE_SECONDS = 9.0  # for a worker that is told to stop: it keeps its trial and hands it back
_CHUNK = 65536  # bytes

_spawn = multiprocessing.get_context("spawn")
Result = TypeVar("Result")


class Local:
    """One spawned process a seat: what it held, on the GPU too, is free when it ends."""

    def run(
        self, worker: Worker[Result], seats: Sequence[Seat], *, observe: Observer
    ) -> tuple[Result, ...]:
        """Start a process for every seat and watch them until all have ended."""
        posts = [_Post(worker, seat, observe) for seat in seats]
        try:
            for post in posts:
                post.start()
            while live := [post for post in posts if post.process is not None]:
                for post in _that_have_something(live):
                    post.take_in()
        finally:
            _stop(posts)
        results = [post.finished.result for post in posts if post.finished is not None]
        if not results:
            raise UnavailableError(
                f"No worker could go on; the last one {posts[-1].last_death}. What they printed "
                "stands above. Their trials are kept: the same command continues."
            )
        return tuple(results)


class _Post(Generic[Result]):
    """One seat, and the process that holds it now."""

    def __init__(self, worker: Worker[Result], seat: Seat, observe: Observer) -> None:
        self.process: multiprocessing.process.BaseProcess | None = None
        self.finished: Finished[Result] | None = None
        self.last_death = ""
        self._worker = worker
        self._seat = seat
        self._observe = observe
        self._deaths = 0

    def start(self) -> None:
        """Start the process, with a pipe for its events and one for what it prints.

        Each process has its own: one that is killed while it writes spoils nobody else's.
        """
        self.events, events = _spawn.Pipe(duplex=False)
        self.output, output = _spawn.Pipe(duplex=False)
        self._line = b""
        process = _spawn.Process(
            target=main,
            args=(self._worker, self._seat, events, output),
            name=f"selector-worker-{self._seat.number}",
            # It may start processes of its own, and `run` leaves none behind anyway.
            daemon=False,
        )
        with signals_wait():
            process.start()
            self.process = process
        # Only the child holds these ends now, so its death ends both pipes.
        events.close()
        output.close()

    def take_in(self) -> None:
        """Pass on what has arrived; after the last of it, settle how the process ended."""
        if self.output.poll():
            self._read_output()
        if not self.events.poll():
            return
        try:
            message = self.events.recv()
        except (EOFError, OSError):  # its end, or killed in the middle of a message
            self._settle()
            return
        match message:
            case Finished():
                self.finished = message
            case Failed(exit_code, text):
                raise same_error(exit_code, text)
            case event:
                if isinstance(event, TrialEnded):
                    self._deaths = 0
                self._observe(event)

    def drain(self) -> None:
        """Throw away what has arrived: a process that stops must not wait for its reader."""
        for pipe in (self.events, self.output):
            if pipe.poll():
                os.read(pipe.fileno(), _CHUNK)

    def close(self) -> None:
        """Forget the process, which has ended."""
        if self.process is not None:
            self.process.join()
            self.process.close()
            self.events.close()
            self.output.close()
            self.process = None

    def _settle(self) -> None:
        assert self.process is not None
        self.process.join()
        while self.output.poll() and self._read_output():
            pass
        self._say(self._line)
        code = self.process.exitcode
        self.close()
        if self.finished is not None:
            return
        self.last_death = how_it_died(code)
        self._deaths += 1
        again = self._deaths <= RESTARTS
        what_now = "started again" if again else f"given up after {self._deaths} times in a row"
        self._note(f"{self.last_death}; {what_now}.")
        if again:
            self.start()

    def _read_output(self) -> bool:
        """Pass on whole lines of what the process printed; False at its end."""
        chunk = os.read(self.output.fileno(), _CHUNK)
        # Bars go back to the start of their line; every state of one would be a line here.
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            self._say(line)
        return bool(chunk)

    def _say(self, line: bytes) -> None:
        text = line.rpartition(b"\r")[2] if not line.endswith(b"\r") else line[:-1]
        if text.strip():
            self._note(text.decode(errors="replace"))

    def _note(self, text: str) -> None:
        self._observe(WorkerNote(worker=self._seat.number, text=text))


def _that_have_something(posts: Sequence[_Post[Result]]) -> list[_Post[Result]]:
    """The posts of whose pipes one can be read now; waits until there is one."""
    pipes: dict[Connection, _Post[Result]] = {}
    for post in posts:
        pipes[post.events] = pipes[post.output] = post
    return list(dict.fromkeys(pipes[pipe] for pipe in wait(list(pipes)) if pipe in pipes))


def _stop(posts: Sequence[_Post[Result]]) -> None:
    """Tell all that still run to hand their trials back; kill who takes too long about it."""
    running = [post for post in posts if post.process is not None]
    try:
        for post in running:
            if post.process is not None:
                post.process.terminate()
        limit = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < limit and any(_lives(post) for post in running):
            for post in running:
                post.drain()
            time.sleep(0.02)
    finally:  # a second Ctrl-C ends the waiting
        for post in running:
            if post.process is not None:
                post.process.kill()
            post.close()


def _lives(post: _Post[Result]) -> bool:
    return post.process is not None and post.process.is_alive()


def how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"died with exit code {code}"


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Signals reach this thread a moment later, and a process started meanwhile not at all.

    Ctrl-C goes to every process of the terminal; it is this one that tells the workers to stop.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
