"""Locks that hold across processes: one for the schema, one for each study."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from selector.errors import ConflictError
from selector.store.engine import safe_url, sqlite_file

if TYPE_CHECKING:
    from selector.store.store import Store

WAIT_SECONDS = 300.0


class Held:
    """A lock that this process took.

    A database server gives it back by itself when the connection that took it ends: for being idle,
    or because somebody ended it. The process hears nothing of that until it asks.
    """

    def __init__(self, connection: Connection | None = None) -> None:
        self._connection = connection

    def require(self) -> None:
        """Raise SQLAlchemy's OperationalError where the lock may be another's; one round trip."""
        if self._connection is not None:
            self._connection.execute(text("SELECT 1"))


@contextmanager
def study_lock(store: Store, name: str, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[Held]:
    """Hold the study `name` alone, among all processes (and hosts) that share the store.

    It is not reentrant, and a process that dies gives it back. Raises ConflictError when others
    hold it longer than `wait_seconds`.
    """
    with engine_lock(store.engine, f"study {name}", wait_seconds=wait_seconds) as held:
        yield held


@contextmanager
def engine_lock(
    engine: Engine, topic: str, *, wait_seconds: float = WAIT_SECONDS
) -> Iterator[Held]:
    """Hold `topic` alone among all processes that share the database of `engine`."""
    file = sqlite_file(engine.url)
    lock = (
        _advisory_lock(engine, topic, wait_seconds)
        if file is None
        else _file_lock(file, topic, wait_seconds)
    )
    with lock as held:
        yield held


@contextmanager
def _file_lock(database: Path, topic: str, wait_seconds: float) -> Iterator[Held]:
    # Names may be longer than a file name can be, hence a digest.
    path = database.with_name(f"{database.name}.{_digest(topic).hex()}.lock")
    lock = FileLock(path, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        raise ConflictError(_busy(topic, database.name, wait_seconds)) from None
    try:
        yield Held()
    finally:
        lock.release()


@contextmanager
def _advisory_lock(engine: Engine, topic: str, wait_seconds: float) -> Iterator[Held]:
    key = int.from_bytes(_digest(topic), "big", signed=True)
    # A connection of its own: the server frees the lock when the holder's connection ends.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = {int(wait_seconds * 1000)}"))
        try:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
                raise
            raise ConflictError(_busy(topic, safe_url(engine.url), wait_seconds)) from None
        finally:
            connection.execute(text("SET lock_timeout = DEFAULT"))
        try:
            yield Held(connection)
        finally:
            # A connection that broke has given the lock back, and what was done under it stands.
            if not connection.invalidated:
                with suppress(DBAPIError):
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def _digest(topic: str) -> bytes:
    return hashlib.sha256(f"selector {topic}".encode()).digest()[:8]


def _busy(topic: str, where: str, wait_seconds: float) -> str:
    return (
        f"Another process holds the lock of '{topic}' in '{where}' for more than "
        f"{wait_seconds:.0f} s. Stop that process, then run the command again."
    )
