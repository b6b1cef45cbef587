"""Queries on schedules and firings. Each takes an open connection.

Every change names the state it starts from, so of several schedulers that try it one succeeds. The
lease of a firing that runs is that of a trial: same clock, and a token that fences its last owner.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Update, case, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from selector.records import (
    DueFiring,
    Firing,
    Lease,
    OpenFiring,
    Outcome,
    ProcessName,
    StoredSchedule,
)
from selector.store import leases
from selector.store.firing_tables import FiringTable, ScheduleTable

_OPEN = ("waiting", "running")


def clock_time(connection: Connection) -> dt.datetime:
    """The time of the day by the store's clock: the server's, or this machine's for SQLite."""
    if connection.dialect.name == "sqlite":
        return dt.datetime.now(dt.UTC)
    time: dt.datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return time.astimezone(dt.UTC)


def list_schedules(connection: Connection) -> tuple[StoredSchedule, ...]:
    """Every schedule that was ever served, by study."""
    rows = connection.execute(select(ScheduleTable.__table__).order_by(ScheduleTable.study)).all()
    return tuple(StoredSchedule(**row._mapping) for row in rows)


def set_schedule(
    connection: Connection, schedule: StoredSchedule, *, before: StoredSchedule | None
) -> bool:
    """Put a schedule in the place of `before`; False where another process was first."""
    values = {name: getattr(schedule, name) for name in schedule.__slots__}
    if before is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(ScheduleTable).values(values))
        except IntegrityError:
            return False
        return True
    same = [getattr(ScheduleTable, name) == getattr(before, name) for name in before.__slots__]
    return connection.execute(update(ScheduleTable).where(*same).values(values)).rowcount == 1


def record_due(
    connection: Connection, schedule: StoredSchedule, *, before: StoredSchedule, firing: DueFiring
) -> bool:
    """Record a due time that has come; False where another process did, or it has its row.

    One that waits takes the place of those of the study that wait and were never started.
    """
    if not set_schedule(connection, schedule, before=before):
        return False
    values = {name: getattr(firing, name) for name in firing.__slots__}
    try:
        with connection.begin_nested():
            connection.execute(insert(FiringTable).values(takeovers=0, **values))
    except IntegrityError:  # of a time before the clock was set back
        return False
    if firing.state == "waiting":
        _give_way(connection, firing)
    return True


def _give_way(connection: Connection, newer: DueFiring) -> None:
    older = update(FiringTable).where(
        FiringTable.study == newer.study,
        FiringTable.state == "waiting",
        FiringTable.started_at.is_(None),
        FiringTable.due < newer.due,
    )
    line = "gave way to the next due time, which came while it waited"
    connection.execute(older.values(state="skipped", line=line))


def open_firings(connection: Connection, *, after_restart_seconds: float) -> tuple[OpenFiring, ...]:
    """Every firing that waits or runs, the earliest first.

    No lease ends in the first seconds after the server was started, as for trials.
    """
    left = leases.seconds_left(
        connection, FiringTable.lease_until.expression, after_restart_seconds=after_restart_seconds
    )
    rows = connection.execute(
        select(FiringTable.__table__, left.label("seconds_left"))
        .where(FiringTable.state.in_(_OPEN))
        .order_by(FiringTable.due, FiringTable.id)
    ).all()
    return tuple(
        OpenFiring(
            firing=_firing(row),
            process_created=row.process_created,
            token=row.lease_token,
            seconds_left=leases.plausible(row.seconds_left),
        )
        for row in rows
    )


def take_firing(
    connection: Connection,
    found: OpenFiring,
    lease: Lease,
    *,
    owner: ProcessName,
    at: dt.datetime,
) -> bool:
    """Make a firing that waits, or whose scheduler is gone, one's own; False if it has changed.

    `owner` is the process of the scheduler.
    """
    firing = found.firing
    values = {
        "state": "running",
        "started_at": firing.started_at or at,
        "takeovers": firing.takeovers + (firing.state == "running"),
        "host": owner.host,
        "pid": owner.pid,
        "process_created": owner.created,
        "lease_token": lease.token,
        "lease_until": leases.lease_end(connection, lease),
    }
    as_found = update(FiringTable).where(
        FiringTable.id == firing.id,
        FiringTable.state == firing.state,
        FiringTable.lease_token.is_not_distinct_from(found.token),
    )
    return connection.execute(as_found.values(values)).rowcount == 1


def renew_firing(connection: Connection, firing: int, lease: Lease) -> bool:
    """Make the lease of a firing last its full time from now; False where it was lost."""
    until = leases.lease_end(connection, lease)
    running = _held(firing, lease).where(FiringTable.state == "running")
    return connection.execute(running.values(lease_until=until)).rowcount == 1


def end_firing(
    connection: Connection, firing: int, lease: Lease, *, outcome: Outcome, at: dt.datetime
) -> bool:
    """Record how a firing ended; False where it was lost. Saying it twice changes nothing."""
    values = {
        "state": "ended",
        "ended_at": at,
        "exit_code": outcome.exit_code,
        "line": outcome.line,
        "lease_until": None,
    }
    return connection.execute(_held(firing, lease).values(values)).rowcount == 1


def release_firing(connection: Connection, firing: int, lease: Lease) -> None:
    """Let any scheduler resume a firing that was stopped; nothing where it was lost."""
    running = _held(firing, lease).where(FiringTable.state == "running")
    connection.execute(running.values(state="waiting", lease_token=None, lease_until=None))


def _held(firing: int, lease: Lease) -> Update:
    """Changes a firing as long as nobody else has its lease."""
    return update(FiringTable).where(
        FiringTable.id == firing, FiringTable.lease_token == lease.token
    )


def list_firings(
    connection: Connection, studies: Collection[str] | None, *, limit: int
) -> tuple[Firing, ...]:
    """The latest firings of some studies, or of all, the newest first."""
    query = select(FiringTable.__table__).order_by(FiringTable.due.desc(), FiringTable.id.desc())
    if studies is not None:
        query = query.where(FiringTable.study.in_(studies))
    return tuple(_firing(row) for row in connection.execute(query.limit(limit)).all())


def last_firings(connection: Connection) -> tuple[Firing, ...]:
    """The latest firing of each study that was not left out; where all were, the latest."""
    ran = func.max(case((FiringTable.state != "skipped", FiringTable.due)))
    latest = (
        select(FiringTable.study, func.coalesce(ran, func.max(FiringTable.due)).label("due"))
        .group_by(FiringTable.study)
        .subquery()
    )
    rows = connection.execute(
        select(FiringTable.__table__).join(
            latest, (FiringTable.study == latest.c.study) & (FiringTable.due == latest.c.due)
        )
    ).all()
    return tuple(_firing(row) for row in rows)


def _firing(row: Any) -> Firing:
    return Firing(**{name: getattr(row, name) for name in Firing.__slots__})
