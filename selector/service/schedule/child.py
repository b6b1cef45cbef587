"""The other side of `process`: what runs in the process of a firing."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from selector.errors import SelectorError
from selector.events import Observer
from selector.executors.child import STOPPED, heard_through, heed_the_parent
from selector.interrupts import leave, terminable
from selector.records import UNDECIDED, Outcome


class Fire(Protocol):
    """What happens at a due time. Called in another process, so it is a function of a module."""

    def __call__(self, study_file: Path, *, store: str, observe: Observer) -> Outcome:
        """Do it, resuming what an earlier call left unfinished; what came of it."""
        ...


def renew_study(study_file: Path, *, store: str, observe: Observer) -> Outcome:
    """Do what `selector renew` does: search where the data changed, swap a champion that lost."""
    # Inside, for the scheduler itself needs nothing of what trains.
    from selector.renewal import renew

    found = renew(study_file, store=store, observe=observe)
    return Outcome(
        exit_code=UNDECIDED if found.outcome == "undecided" else 0,
        line=f"{found.outcome}: {found.reason}",
    )


def main(fire: Fire, file: str, store: str, events: Connection, output: Connection) -> None:
    """Fire; send the events and the outcome through `events`, all that is printed to `output`."""
    observe = heard_through(events, output)
    try:
        with terminable(once=True):
            heed_the_parent()
            outcome = fire(Path(file), store=store, observe=observe)
    except SelectorError as error:
        outcome = Outcome(exit_code=error.exit_code, line=str(error).partition("\n")[0])
    except KeyboardInterrupt:
        outcome = Outcome(exit_code=STOPPED, line="stopped")
    with suppress(OSError):
        events.send(outcome)
    leave(outcome.exit_code)
