"""The seam of all executors: run a worker once for every seat, somewhere else, and watch it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from selector.errors import (
    ConflictError,
    ProblemsError,
    SelectorError,
    StudyStoppedError,
    UnavailableError,
)
from selector.events import Observer
from selector.records import Seat

Result = TypeVar("Result")
# Called in another process, so it is a function of a module, or a partial one with plain arguments.
Worker = Callable[[Seat, Observer], Result]

RESTARTS = 3  # of one seat in a row, without a trial that ended in between


class Executor(Protocol):
    """Starts workers and watches them; which trial a worker takes is no business of this."""

    def run(
        self, worker: Worker[Result], seats: Sequence[Seat], *, observe: Observer
    ) -> tuple[Result, ...]:
        """Call the worker once for every seat, all at the same time; what they gave, by seat.

        `observe` gets the events of all workers, each worker's in order, and what they print as
        WorkerNote, in the calling thread. A worker whose process dies is started again, at most
        RESTARTS times in a row; a seat that is given up leaves the rest to the others and is left
        out of the results. UnavailableError where all are given up. A SelectorError of one worker
        stops the others and is raised here. Whatever ends the call leaves no worker behind: each
        gets SIGTERM and some seconds to hand its trial back.
        """
        ...


def same_error(exit_code: int, text: str) -> SelectorError:
    """An error of another process as one of this process, with the same exit code and text."""
    match exit_code:
        case ProblemsError.exit_code:
            return ProblemsError(text.splitlines())
        case ConflictError.exit_code:
            return ConflictError(text)
        case UnavailableError.exit_code:
            return UnavailableError(text)
        case StudyStoppedError.exit_code:  # a worker that hears a signal leaves without a word
            return StudyStoppedError(text)
    return SelectorError(text)
