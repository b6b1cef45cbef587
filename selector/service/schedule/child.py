"""The other side of `process`: what runs in the process of a firing."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from selector.errors import SelectorError
from selector.events import Event, Observer
from selector.executors.child import STOPPED
from selector.interrupts import Terminated, leave, stop_with_parent, terminable
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
    for printed in (1, 2):
        os.dup2(output.fileno(), printed)
    output.close()

    def observe(event: Event) -> None:
        try:
            events.send(event)
        except OSError:  # nobody is there to read it
            raise Terminated from None

    try:
        with terminable(once=True):
            # Both wait since before this process was started. Ctrl-C stays away: the scheduler
            # hears it too and says when to stop.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            threading.Thread(target=stop_with_parent, daemon=True).start()
            outcome = fire(Path(file), store=store, observe=observe)
    except SelectorError as error:
        outcome = Outcome(exit_code=error.exit_code, line=str(error).partition("\n")[0])
    except KeyboardInterrupt:
        outcome = Outcome(exit_code=STOPPED, line="stopped")
    with suppress(OSError):
        events.send(outcome)
    leave(outcome.exit_code)
