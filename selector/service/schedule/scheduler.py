"""Serves schedules: looks what is due, takes it if no other scheduler has, and sees it through."""

from __future__ import annotations

import datetime as dt
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from selector import processes
from selector.errors import InterruptedRun, StoreSilentError
from selector.events import ScheduleNote, StoreAnswers, StoreSilent
from selector.interrupts import Terminated, terminable
from selector.records import DueFiring, OpenFiring, Outcome, ProcessName, StoredSchedule
from selector.service.schedule.clock import Clock, StoreClock
from selector.service.schedule.decisions import current, decide
from selector.service.schedule.files import Listing, ScheduledStudy, StudyFiles
from selector.service.schedule.process import Launch
from selector.service.schedule.running import Running, Watch
from selector.spec.calendar import moment, next_due
from selector.store import Store

LOOK_SECONDS = 15.0  # at most, between two looks at the files and the store
SILENT_SECONDS = 1.0  # between two attempts to reach a store that is away
RENEWALS = 4  # of a lease, at least


class Scheduler:
    """Fires the studies of some files when they are due, at most `limit` at the same time.

    Several of them may share a store, on one machine or many: each due time is fired by one.
    """

    def __init__(
        self,
        store: Store,
        files: StudyFiles,
        launch: Launch,
        *,
        watch: Watch,
        lease_seconds: float,
        limit: int = 1,
        clock: Clock | None = None,
    ) -> None:
        self._schedules = store.schedules
        self._files = files
        self._watch = watch
        self._lease_seconds = lease_seconds
        self._limit = limit
        self._clock = clock or StoreClock(store)
        self._running = Running(store, launch, watch=watch, lease_seconds=lease_seconds)
        self._last_look: dt.datetime | None = None
        self._silent_since: float | None = None
        self._answers_since = -math.inf
        self._said: dict[str, object] = {}  # so that nothing is said at every look
        self._next: dt.datetime | None = None
        self._now = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._once = False
        self._taken: set[str] = set()  # by `once`, which runs no study twice
        self._outcomes: list[Outcome] = []

    def serve(self) -> NoReturn:
        """Fire what is due until stopped; InterruptedRun then, with all that ran resumable."""
        with self._stopped_with_us():
            while True:
                self.look()
                self.rest()

    def once(self, *, patience_seconds: float) -> tuple[Outcome, ...]:
        """Run what is due now, each study at most once, and give what came of it.

        StoreSilentError where the store stays away longer than `patience_seconds`.
        """
        self._once = True
        with self._stopped_with_us():
            began = time.monotonic()
            while True:
                silent = self.look()
                if silent is None:
                    began = time.monotonic()
                    if not self._running:
                        return tuple(self._outcomes)
                elif time.monotonic() - began > patience_seconds:
                    raise silent
                self.rest()

    def look(self) -> StoreSilentError | None:
        """Look once at files, calendar and store; gives why the store did not answer, if so.

        What could not be recorded is recorded at a later look.
        """
        try:
            self._look()
        except StoreSilentError as error:
            if self._silent_since is None:
                self._silent_since = time.monotonic()
                self._watch("", StoreSilent(reason=error.reason))
            return error
        if self._silent_since is not None:
            self._answers_since = time.monotonic()
            seconds, self._silent_since = self._answers_since - self._silent_since, None
            self._watch("", StoreAnswers(seconds=seconds))
        return None

    def rest(self) -> None:
        """Wait for the next due time or the end of a firing, at most LOOK_SECONDS."""
        left = self._pause_seconds()
        while left > 0 and not self._running.take_in():
            left -= self._clock.wait(left, self._running.pipes)

    def _look(self) -> None:
        now = self._now = self._clock.now()
        for outcome in self._running.settle(at=now):
            self._outcomes += [outcome] if self._once else []
        listing = self._files.read()
        self._report(listing, now)
        patience = self._lease_seconds
        found = self._schedules.open(after_restart_seconds=patience)
        stored = {each.study: each for each in self._schedules.all()}
        for study in listing.studies:
            # What comes due after `once` has run it is for the next call to decide.
            if study.name in self._taken and study.name not in self._running.studies:
                continue
            mine = [each for each in found if each.firing.study == study.name]
            self._decide(study, stored.get(study.name), mine, now=now)
        if len(self._running) < self._limit:
            found = self._schedules.open(after_restart_seconds=patience)
            self._take(listing, found, now=now)
        self._last_look = now

    def _decide(
        self,
        study: ScheduledStudy,
        stored: StoredSchedule | None,
        open_here: list[OpenFiring],
        *,
        now: dt.datetime,
    ) -> None:
        """Record what has come due since the last decision, if anything."""
        schedule = current(study, stored, now=now, last_look=self._last_look)
        # Where another scheduler is first, the next look starts from what it wrote.
        if schedule != stored and not self._schedules.set(schedule, before=stored):
            return
        going_on = open_here[0].firing if open_here else None
        due = decide(study, after=schedule.decided_until, now=now, going_on=going_on)
        if due is None:
            return
        decided = StoredSchedule(
            study=schedule.study,
            file=str(study.file),
            cron=schedule.cron,
            timezone=schedule.timezone,
            decided_until=due.due,
        )
        if self._schedules.record_due(decided, before=schedule, firing=due) and due.line:
            self._say(study.name, _skip_line(due, study))

    def _take(self, listing: Listing, found: tuple[OpenFiring, ...], *, now: dt.datetime) -> None:
        """Start what waits, the earliest first, as far as there is room."""
        earliest: dict[str, OpenFiring] = {}
        for each in found:
            earliest.setdefault(each.firing.study, each)
        studies = {study.name: study for study in listing.studies}
        for name, each in earliest.items():
            if len(self._running) >= self._limit:
                return
            if name not in studies or name in self._taken:
                continue
            free = each.firing.state == "waiting" or self._is_gone(each)
            taken = free and self._running.take(each, studies[name], at=now)
            if taken and self._once:
                self._taken.add(name)

    def _is_gone(self, found: OpenFiring) -> bool:
        """Whether the scheduler of a firing that runs is gone, for all that can be seen here."""
        firing = found.firing
        if firing.id in self._running:
            return False
        here = firing.host == socket.gethostname()
        if self._running.gave_up(found) or (here and not _lives(found)):
            return True
        # Nobody could renew a lease while the store was away.
        if time.monotonic() - self._answers_since < self._lease_seconds:
            return False
        return found.seconds_left is not None and found.seconds_left <= 0

    def _report(self, listing: Listing, now: dt.datetime) -> None:
        """Say what is new about the files, once."""
        self._next = None
        said: dict[str, object] = {}
        for study in listing.studies:
            schedule = study.schedule
            due = next_due(schedule.cron, schedule.timezone, after=now)
            if due is not None and (self._next is None or due < self._next):
                self._next = due
            said[study.name] = schedule
            if self._said.get(study.name) != schedule and due is not None:
                when = moment(due, schedule.timezone)
                self._say(study.name, f"next due {when} ({schedule.cron}, {schedule.timezone})")
        for file, line in listing.problems.items():
            said[f"{file}:"] = line  # no study is called so
            if self._said.get(f"{file}:") != line:
                self._say("", f"not served: {line}")
        for name in self._said.keys() - said.keys():
            if not name.endswith(":"):
                self._say(name, "is no longer served: its file is gone, broken or has no schedule")
        self._said = said

    def _pause_seconds(self) -> float:
        if self._silent_since is not None:
            return SILENT_SECONDS
        pause = min(LOOK_SECONDS, self._lease_seconds / RENEWALS)
        if self._next is not None:
            pause = min(pause, (self._next - self._now).total_seconds())
        return pause

    @contextmanager
    def _stopped_with_us(self) -> Iterator[None]:
        """Whatever ends this, what it started is stopped first."""
        try:
            with terminable():
                try:
                    yield
                finally:
                    self._running.stop()
        except KeyboardInterrupt as stop:
            raise InterruptedRun(
                "Stopped. Nothing is lost; what ran goes on when a scheduler serves it again.",
                exit_code=143 if isinstance(stop, Terminated) else 130,
            ) from None

    def _say(self, study: str, text: str) -> None:
        self._watch(study, ScheduleNote(text=text))


def _skip_line(due: DueFiring, study: ScheduledStudy) -> str:
    return f"due {moment(due.due, study.schedule.timezone)}: skipped, {due.line}"


def _lives(found: OpenFiring) -> bool:
    """Whether the process that took a firing on this machine is still there."""
    firing = found.firing
    if firing.host is None or firing.pid is None or found.process_created is None:
        return False
    return processes.lives(
        ProcessName(host=firing.host, pid=firing.pid, created=found.process_created)
    )
