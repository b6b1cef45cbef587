"""Queries on the leases of running trials. Each takes an open connection.

Times are seconds of one clock only: the server's on PostgreSQL, counted from 1970 and so free of
time zones; on SQLite the machine's monotonic clock, which all its processes share and which nobody
sets. A worker's own wall clock is never asked.
"""

from __future__ import annotations

import time

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    case,
    cast,
    extract,
    func,
    inspect,
    literal,
    select,
    update,
)

from selector.records import HeldTrial, Lease
from selector.store.studies import study_id
from selector.store.tables import StudyTable, TrialTable

# Lease ends further away were set before the machine's clock began anew, at its last start.
LONGEST_SECONDS = 3600.0


def lease_end(connection: Connection, lease: Lease) -> ColumnElement[float]:
    """When a lease that is taken or renewed now will be over."""
    return now(connection) + lease.seconds


def renew_lease(connection: Connection, study: str, number: int, lease: Lease) -> bool:
    """Make a lease last its full time from now; False where the trial is no longer its own."""
    held = update(TrialTable).where(
        TrialTable.study_id == study_id(connection, study),
        TrialTable.number == number,
        TrialTable.state == "running",
        TrialTable.lease_token == lease.token,
    )
    return connection.execute(held.values(lease_until=lease_end(connection, lease))).rowcount == 1


def holds_lease(connection: Connection, study: str, number: int, lease: Lease) -> bool:
    """Whether a running trial is still the lease's own."""
    token = (
        select(TrialTable.lease_token)
        .join(StudyTable, StudyTable.id == TrialTable.study_id)
        .where(
            StudyTable.name == study,
            TrialTable.number == number,
            TrialTable.state == "running",
        )
    )
    return connection.scalar(token) == lease.token


def held_trials(
    connection: Connection, study: str, *, after_restart_seconds: float
) -> tuple[HeldTrial, ...]:
    """Every running trial of a study, and how long its lease lasts.

    No lease ends in the first seconds after the server was started: nobody could renew one while
    it was down.
    """
    left = seconds_left(
        connection,
        TrialTable.lease_until.expression,
        after_restart_seconds=after_restart_seconds,
    )
    rows = connection.execute(
        select(
            TrialTable.number,
            TrialTable.lease_token,
            left,
        ).where(TrialTable.study_id == study_id(connection, study), TrialTable.state == "running")
    ).all()
    return tuple(
        HeldTrial(number=number, token=token, seconds_left=plausible(left))
        for number, token, left in rows
    )


def has_leases(connection: Connection) -> bool:
    """Whether the store's schema has leases."""
    found = inspect(connection)
    table = TrialTable.__tablename__
    return found.has_table(table) and "lease_until" in {
        column["name"] for column in found.get_columns(table)
    }


def count_live_leases(connection: Connection, study: int | None = None) -> int:
    """How many trials of the store, or of one study by its key, a worker holds now.

    It reads nothing that a store of the first schema with leases has not.
    """
    query = select(TrialTable.lease_until - now(connection)).where(
        TrialTable.state == "running", TrialTable.lease_until.is_not(None)
    )
    if study is not None:
        query = query.where(TrialTable.study_id == study)
    left = connection.scalars(query).all()
    return sum((plausible(seconds) or 0.0) > 0 for seconds in left)


def seconds_left(
    connection: Connection, until: ColumnElement[float | None], *, after_restart_seconds: float
) -> ColumnElement[float | None]:
    """How long the lease in a column lasts from now, NULL where there is none."""
    end = until
    if connection.dialect.name == "postgresql":
        started = cast(extract("epoch", func.pg_postmaster_start_time()), Double)
        end = func.greatest(until, started + after_restart_seconds)
    return case((until.is_not(None), end - now(connection)))


def plausible(seconds: float | None) -> float | None:
    """The seconds that are left, none where the lease was set before the machine's last start."""
    return 0.0 if seconds is not None and seconds > LONGEST_SECONDS else seconds


def now(connection: Connection) -> ColumnElement[float]:
    """The present second on the clock of leases."""
    if connection.dialect.name == "sqlite":
        return literal(time.monotonic())
    return cast(extract("epoch", func.clock_timestamp()), Double)
