"""Queries on the lease of a renewal: of several at once, one goes on. Each takes a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from selector.errors import ConflictError
from selector.records import Lease
from selector.store.champion_tables import RenewalTable
from selector.store.leases import LONGEST_SECONDS, lease_end, now

Holder = Mapping[str, Any]


def take_turn(
    connection: Connection, name: str, lease: Lease, holder: Holder, *, gone: Holder | None
) -> Holder | None:
    """Take the lease of a family's renewal; gives who holds it where it is not free.

    A lease that is over is free, and so is that of the holder `gone`, whose process has ended.
    """
    table = RenewalTable
    held = connection.execute(
        select(table.holder, table.token, table.until - now(connection)).where(table.name == name)
    ).one_or_none()
    if held is not None:
        other, token, seconds_left = held
        if 0 < seconds_left <= LONGEST_SECONDS and other != gone:
            return dict(other)
        # Only what was seen: another process may have taken it over in between.
        connection.execute(delete(table).where(table.name == name, table.token == token))
    values = {"name": name, "token": lease.token, "holder": dict(holder)}
    try:
        with connection.begin_nested():
            until = lease_end(connection, lease)
            connection.execute(insert(table).values(**values, until=until))
    except IntegrityError:  # taken at the same moment
        return dict(connection.scalars(select(table.holder).where(table.name == name)).one())
    return None


def renew_turn(connection: Connection, name: str, lease: Lease) -> bool:
    """Make the lease last its full time from now; False where it was lost."""
    held = update(RenewalTable).where(RenewalTable.name == name, RenewalTable.token == lease.token)
    return connection.execute(held.values(until=lease_end(connection, lease))).rowcount == 1


def end_turn(connection: Connection, name: str, lease: Lease) -> None:
    """Give the lease back."""
    connection.execute(
        delete(RenewalTable).where(RenewalTable.name == name, RenewalTable.token == lease.token)
    )


def require_turn(connection: Connection, name: str, token: str) -> None:
    """Raise ConflictError where the lease is another renewal's by now."""
    if connection.scalar(select(RenewalTable.token).where(RenewalTable.name == name)) != token:
        raise ConflictError(
            f"Another renewal of '{name}' has taken over, for this one was not heard of. "
            "Nothing was decided here."
        )
