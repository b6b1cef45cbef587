"""The seam of all executors: run a worker once for every seat, somewhere else, and watch it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from selector.errors import (
    ConflictError,
    ProblemsError,
    SelectorError,
    StudyStoppedError,
    UnavailableError,
)
from selector.events import Observer
from selector.records import ProcessName, Seat

if TYPE_CHECKING:
    from selector.spec import StudySpec

Result = TypeVar("Result")
# Called in another process, so it is a function of a module, or a partial one with plain arguments.
Worker = Callable[[Seat, Observer], Result]

# Told of a worker's process that is gone for certain, or that will be heard of no more.
Died = Callable[[ProcessName], None]

RESTARTS = 3  # of one seat in a row, without a trial that ended in between
GRACE_SECONDS = 9.0  # for a worker that is told to stop: it keeps its trial and hands it back


def nobody_asks(process: ProcessName) -> None:
    """Nobody wants to know which process died."""


class Executor(Protocol):
    """Starts workers and watches them; which trial a worker takes is no business of this."""

    def check(self, spec: StudySpec) -> None:
        """Raise ProblemsError or UnavailableError where workers of this study cannot be started."""
        ...

    def run(
        self,
        worker: Worker[Result],
        seats: Sequence[Seat],
        *,
        observe: Observer,
        died: Died = nobody_asks,
    ) -> tuple[Result, ...]:
        """Call the worker once for every seat, all at the same time; what they gave, by seat.

        `observe` gets the events of all workers, each worker's in order, and what they print as
        WorkerNote, in the calling thread. A worker whose process dies is started again, at most
        RESTARTS times in a row; a seat that is given up leaves the rest to the others and is left
        out of the results. UnavailableError where all are given up. A SelectorError of one worker
        stops the others and is raised here. Whatever ends the call leaves no worker behind: each
        gets SIGTERM and some seconds to hand its trial back. `died` hears of processes whose death
        others could not see for themselves, before they are replaced.
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


def what_now(deaths: int) -> str:
    """What becomes of a worker that died for so many times in a row."""
    return "started again" if deaths <= RESTARTS else f"given up after {deaths} times in a row"


def without_workers(last_death: str) -> UnavailableError:
    """The error of a run whose workers were all given up."""
    return UnavailableError(
        f"No worker could go on; the last one {last_death}. What they printed stands above. "
        "Their trials are kept: the same command continues."
    )
