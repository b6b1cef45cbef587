"""The handle on the schedules of a store and on their firings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from selector.records import (
    DueFiring,
    Firing,
    Lease,
    OpenFiring,
    Outcome,
    ProcessName,
    StoredSchedule,
)
from selector.store import firings
from selector.store.engine import reaching, writing


class Schedules:
    """Which studies are due when, and who runs them. Every method is one transaction.

    Several schedulers may share it: what changes a row gives False where another one was first.
    """

    def __init__(self, engine: Engine) -> None:
        self._reading = engine
        self._writing = writing(engine)

    def now(self) -> dt.datetime:
        """The time of the day by the clock that all schedulers of the store go by, in UTC."""
        with self._transaction(self._reading) as connection:
            return firings.clock_time(connection)

    def all(self) -> tuple[StoredSchedule, ...]:
        """Every schedule that was ever served, by study."""
        with self._transaction(self._reading) as connection:
            return firings.list_schedules(connection)

    def set(self, schedule: StoredSchedule, *, before: StoredSchedule | None) -> bool:
        """Put a schedule in the place of `before`."""
        with self._transaction(self._writing) as connection:
            return firings.set_schedule(connection, schedule, before=before)

    def record_due(
        self, schedule: StoredSchedule, *, before: StoredSchedule, firing: DueFiring
    ) -> bool:
        """Record a due time that has come, once among all schedulers and for ever."""
        with self._transaction(self._writing) as connection:
            return firings.record_due(connection, schedule, before=before, firing=firing)

    def open(self, *, after_restart_seconds: float = 0.0) -> tuple[OpenFiring, ...]:
        """Every firing that waits or runs, the earliest first.

        Leases last at least until `after_restart_seconds` after the database server was started.
        """
        with self._transaction(self._reading) as connection:
            return firings.open_firings(connection, after_restart_seconds=after_restart_seconds)

    def take(self, found: OpenFiring, lease: Lease, *, owner: ProcessName, at: dt.datetime) -> bool:
        """Make a firing that waits, or whose scheduler is gone, one's own."""
        with self._transaction(self._writing) as connection:
            return firings.take_firing(connection, found, lease, owner=owner, at=at)

    def renew(self, firing: int, lease: Lease) -> bool:
        """Make the lease of a firing last its full time from now."""
        with self._transaction(self._writing) as connection:
            return firings.renew_firing(connection, firing, lease)

    def end(self, firing: int, lease: Lease, *, outcome: Outcome, at: dt.datetime) -> bool:
        """Record how a firing ended; may be called again where the answer was lost."""
        with self._transaction(self._writing) as connection:
            return firings.end_firing(connection, firing, lease, outcome=outcome, at=at)

    def release(self, firing: int, lease: Lease) -> None:
        """Let any scheduler resume a firing that was stopped."""
        with self._transaction(self._writing) as connection:
            firings.release_firing(connection, firing, lease)

    def firings(
        self, studies: Collection[str] | None = None, *, limit: int = 20
    ) -> tuple[Firing, ...]:
        """The latest firings of some studies, or of all, the newest first."""
        with self._transaction(self._reading) as connection:
            return firings.list_firings(connection, studies, limit=limit)

    def last(self) -> dict[str, Firing]:
        """The latest firing of each study that had one, of those that were not left out if any."""
        with self._transaction(self._reading) as connection:
            return {firing.study: firing for firing in firings.last_firings(connection)}

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        with reaching(engine.url), engine.begin() as connection:
            yield connection
