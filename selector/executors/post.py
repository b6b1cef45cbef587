"""One seat and the process that holds it: spawned, listened to, started again when it dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from selector.events import Observer, TrialEnded, WorkerNote
from selector.executors.base import RESTARTS, Worker, same_error, what_now
from selector.executors.child import Failed, Finished, main
from selector.executors.printed import CHUNK, Printed
from selector.interrupts import signals_wait
from selector.records import Seat

_spawn = multiprocessing.get_context("spawn")
Result = TypeVar("Result")


class Post(Generic[Result]):
    """One seat, and the process that holds it now."""

    def __init__(self, worker: Worker[Result], seat: Seat, observe: Observer) -> None:
        self.process: multiprocessing.process.BaseProcess | None = None
        self.finished: Finished[Result] | None = None
        self.last_death = ""
        self._worker = worker
        self._seat = seat
        self._observe = observe
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        """The number of the process; None when there is none."""
        return self.process.pid if self.process is not None else None

    def start(self) -> None:
        """Start the process, with a pipe for its events and one for what it prints.

        Each process has its own: one that is killed while it writes spoils nobody else's.
        """
        self.events, events = _spawn.Pipe(duplex=False)
        self.output, output = _spawn.Pipe(duplex=False)
        self._printed = Printed(self.output, self._note)
        process = _spawn.Process(
            target=main,
            args=(self._worker, self._seat, events, output),
            name=f"selector-worker-{self._seat.number}",
            # It may start processes of its own, and nobody is left behind anyway.
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
        self._printed.take_in()
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
            case Failed() as failed:
                error = same_error(failed.exit_code, failed.text)
                error.trial, error.epoch = failed.trial, failed.epoch
                raise error
            case event:
                if isinstance(event, TrialEnded):
                    self._deaths = 0
                self._observe(event)

    def drain(self) -> None:
        """Throw away what has arrived: a process that stops must not wait for its reader."""
        for pipe in (self.events, self.output):
            if pipe.poll():
                os.read(pipe.fileno(), CHUNK)

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
        self._printed.take_in_all()
        code = self.process.exitcode
        self.close()
        if self.finished is not None:
            return
        self.last_death = how_it_died(code)
        self._deaths += 1
        again = self._deaths <= RESTARTS
        self._note(f"{self.last_death}; {what_now(self._deaths)}.")
        if again:
            self.start()

    def _note(self, text: str) -> None:
        self._observe(WorkerNote(worker=self._seat.number, text=text))


def with_something(
    posts: Sequence[Post[Any]], *others: Connection, timeout: float | None = None
) -> tuple[list[Post[Any]], bool]:
    """The posts of whose pipes one can be read now, and whether one of `others` can.

    Waits until there is something, at most `timeout` seconds.
    """
    pipes: dict[Connection, Post[Any]] = {}
    for post in posts:
        pipes[post.events] = pipes[post.output] = post
    ready = wait([*pipes, *others], timeout)
    found = dict.fromkeys(pipes[pipe] for pipe in ready if pipe in pipes)
    return list(found), any(pipe in ready for pipe in others)


def stop(posts: Sequence[Post[Any]], *, grace_seconds: float) -> None:
    """Tell all that still run to hand their trials back; kill who takes too long about it."""
    running = [post for post in posts if post.process is not None]
    try:
        for post in running:
            if post.process is not None:
                post.process.terminate()
        limit = time.monotonic() + grace_seconds
        while time.monotonic() < limit and any(_lives(post) for post in running):
            for post in running:
                post.drain()
            time.sleep(0.02)
    finally:  # a second Ctrl-C ends the waiting
        for post in running:
            if post.process is not None:
                post.process.kill()
            post.close()


def _lives(post: Post[Any]) -> bool:
    return post.process is not None and post.process.is_alive()


def how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"died with exit code {code}"
