"""The firings that this scheduler runs: started, their leases kept, their ends recorded."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from selector import processes
from selector.errors import UnavailableError
from selector.events import Event, ScheduleNote
from selector.interrupts import HOLD_SECONDS
from selector.records import Firing, Lease, OpenFiring, Outcome
from selector.reporting import figures
from selector.service.schedule.files import ScheduledStudy
from selector.service.schedule.process import Fired, Launch
from selector.spec.calendar import moment
from selector.store import Store

# A stopped run waits for its step and then for its own workers, who hand their trials back.
STOP_SECONDS = HOLD_SECONDS + 11.0
INTERRUPTED = (130, 143)

Watch = Callable[[str, Event], None]  # the study that an event is about, "" for all, and the event


@dataclass(slots=True)
class _Running:
    firing: Firing
    study: ScheduledStudy
    lease: Lease
    fired: Fired
    outcome: Outcome | None = None
    lost: bool = False


class Running:
    """What was fired here and has not ended, by the id of the firing."""

    def __init__(self, store: Store, launch: Launch, *, watch: Watch, lease_seconds: float) -> None:
        self._schedules = store.schedules
        self._launch = launch
        self._watch = watch
        self._lease_seconds = lease_seconds
        self._me = processes.named()
        self._live: dict[int, _Running] = {}
        self._tokens: set[str] = set()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, firing: int) -> bool:
        return firing in self._live

    @property
    def studies(self) -> frozenset[str]:
        """The studies that run here now."""
        return frozenset(each.study.name for each in self._live.values())

    def gave_up(self, found: OpenFiring) -> bool:
        """Whether a firing is held by a lease of this process, which does not run it.

        So it is where the store broke off before it answered, or a process could not be started.
        """
        return found.token in self._tokens and found.firing.id not in self._live

    @property
    def pipes(self) -> tuple[Connection, ...]:
        """What can be read when something has arrived."""
        return tuple(pipe for each in self._live.values() for pipe in each.fired.pipes)

    def take(self, found: OpenFiring, study: ScheduledStudy, *, at: dt.datetime) -> bool:
        """Take a firing and start it; False where another scheduler was first."""
        lease = Lease(token=uuid.uuid4().hex, seconds=self._lease_seconds)
        self._tokens.add(lease.token)
        if not self._schedules.take(found, lease, owner=self._me, at=at):
            return False
        firing = found.firing
        self._say(study.name, _start_line(firing, study))
        firing = replace(firing, started_at=firing.started_at or at)

        def observe(event: Event) -> None:
            self._watch(study.name, event)

        fired = self._launch(study.file, observe)
        self._live[firing.id] = _Running(firing, study, lease, fired)
        return True

    def take_in(self) -> bool:
        """Pass on what has arrived, without waiting; whether a firing has ended."""
        for each in self._live.values():
            each.outcome = each.outcome or each.fired.take_in()
        return any(each.outcome is not None for each in self._live.values())

    def settle(self, *, at: dt.datetime) -> Iterator[Outcome]:
        """Record the firings that have ended, giving each, and renew the leases of the others.

        Where the store falls silent in between, what is recorded by then is given all the same.
        """
        self.take_in()
        for key, each in list(self._live.items()):
            if each.outcome is None:
                self._renew(each)
                continue
            kept = not each.lost and self._schedules.end(
                key, each.lease, outcome=each.outcome, at=at
            )
            del self._live[key]
            if kept:
                self._say(each.study.name, _end_line(each, at=at))
                yield each.outcome

    def stop(self) -> None:
        """Stop all that runs; another scheduler, or the next one, resumes it."""
        for each in self._live.values():
            each.fired.stop()
        limit = time.monotonic() + STOP_SECONDS
        try:
            while not self._all_ended() and time.monotonic() < limit:
                time.sleep(0.02)
        finally:  # a second Ctrl-C ends the waiting
            for each in self._live.values():
                if each.outcome is None:
                    each.fired.kill()
            # A store that is away must not hide why this stops; a dead scheduler's are taken over.
            with suppress(UnavailableError):
                self._give_back()
            self._live.clear()

    def _all_ended(self) -> bool:
        self.take_in()
        return all(each.outcome is not None for each in self._live.values())

    def _give_back(self) -> None:
        for key, each in self._live.items():
            if each.outcome is None or each.outcome.exit_code in INTERRUPTED:
                self._schedules.release(key, each.lease)
            else:  # it came to its own end in the last moment
                at = self._schedules.now()
                self._schedules.end(key, each.lease, outcome=each.outcome, at=at)

    def _renew(self, each: _Running) -> None:
        if each.lost or self._schedules.renew(each.firing.id, each.lease):
            return
        each.lost = True
        each.fired.stop()
        self._say(
            each.study.name, "was taken over by another scheduler, for the lease ran out; stopping"
        )

    def _say(self, study: str, text: str) -> None:
        self._watch(study, ScheduleNote(text=text))


def _start_line(firing: Firing, study: ScheduledStudy) -> str:
    due = f"due {moment(firing.due, study.schedule.timezone)}: "
    if firing.state == "running":
        return f"{due}its scheduler is gone ({firing.host}, pid {firing.pid}); taken over"
    if firing.started_at is not None:
        return f"{due}resumed"
    times = "1 due time" if firing.missed == 1 else f"{firing.missed} due times"
    return f"{due}started" + (f", also for {times} missed before" if firing.missed else "")


def _end_line(each: _Running, *, at: dt.datetime) -> str:
    assert each.outcome is not None
    due = moment(each.firing.due, each.study.schedule.timezone)
    took = figures.duration((at - (each.firing.started_at or at)).total_seconds())
    code = each.outcome.exit_code
    return f"due {due}: ended with exit code {code} after {took}: {each.outcome.line}"
