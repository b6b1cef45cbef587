"""The way to the database: URLs, connections, and one clear line when it cannot be reached."""

from __future__ import annotations

import functools
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    ProgrammingError,
)

from selector.errors import InputError, StoreSilentError, UnavailableError
from selector.store.passwords import safe_url as safe_url  # part of what this module offers
from selector.store.passwords import without_password

BUSY_SECONDS = 60
_busy_seconds: ContextVar[float] = ContextVar("busy_seconds", default=BUSY_SECONDS)
SUPPORTED = "sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE"
# Broken rules and wrong SQL are mistakes of the program, not of the place.
_OURS = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
# Of PostgreSQL: connection failures, stopping and starting, too many connections, deadlock and
# like conflicts, a standby that does not write yet.
_PASSING_STATES = ("08", "57", "53300", "40", "25006")
# What a server, or the way to it, says of a connection that will never be made. Neither psycopg nor
# libpq gives a state there, only the text; of a server in another language nothing matches, and
# whoever waits is told its words.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry"
    r"|(database|role) \".*\" does not exist|is not permitted to log in"
    r"|permission denied for database|invalid port number"
    r"|invalid (connection option|sslmode)|root certificate file"
)
# A host that vanishes says nothing: without these a query would wait for it for a quarter of an
# hour or for ever. Where server and program share a machine they do nothing.
_LIBPQ = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def parse_url(text: str) -> URL:
    """The store's URL with its driver named and a SQLite path made absolute.

    Raises InputError for what is no URL, another database, or SQLite in memory, which cannot be
    shared by processes.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        raise InputError(f"'{safe_url(text)}' is not a store URL. Legal: {SUPPORTED}.") from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise InputError(
            f"Store '{safe_url(text)}': database '{url.drivername}' is not supported. "
            f"Legal: {SUPPORTED}."
        )
    if "@" in (url.host or ""):
        raise InputError(
            f"Store '{safe_url(text)}': a password with '@' in it is written with %40. "
            f"Legal: {SUPPORTED}."
        )
    url = url.set(drivername=driver)
    return url.set(database=str(_sqlite_file(url))) if driver == "sqlite" else url


def sqlite_file(url: URL) -> Path | None:
    """The database file, or None where the store is a server."""
    return Path(url.database or "") if url.drivername == "sqlite" else None


def connect(url: URL) -> Engine:
    """An engine for `url`; the first query opens the connection."""
    options: dict[str, Any] = {
        # A NaN inside JSON is refused here rather than by some databases only.
        "json_serializer": functools.partial(json.dumps, allow_nan=False),
    }
    try:
        if url.drivername == "sqlite":
            engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **options)
            _listen_sqlite(engine)
        else:
            engine = create_engine(url, **server_options(url), **options)
            event.listen(engine, "connect", _set_utc)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UnavailableError(
            f"Store '{safe_url(url)}' needs a driver that is not installed ({error}). "
            "Install it: pip install 'selector-finetune[postgres]'."
        ) from None
    return engine


def server_options(url: URL) -> dict[str, Any]:
    """Options of an engine for a database server, which may vanish; the URL's own come first."""
    unset = {key: value for key, value in _LIBPQ.items() if key not in url.query}
    return {"pool_pre_ping": True, "connect_args": unset}


@contextmanager
def impatient(seconds: float) -> Iterator[None]:
    """Within, a transaction waits for SQLite's write lock no longer than this: others try again."""
    token = _busy_seconds.set(seconds)
    try:
        yield
    finally:
        _busy_seconds.reset(token)


@contextmanager
def reaching(url: URL) -> Iterator[None]:
    """Turn a failure to reach the database into one line without password or traceback."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, _OURS):
            raise
        if may_pass(error):
            raise StoreSilentError(_why(url, error), reason=_first_line(error)) from None
        raise UnavailableError(_why(url, error)) from None


def may_pass(error: BaseException | None) -> bool:
    """Whether an error is of the moment: the server is away, or others hold a lock too long."""
    if not isinstance(error, DBAPIError) or isinstance(error, _OURS):
        return False
    if (sqlite_code := getattr(error.orig, "sqlite_errorcode", None)) is not None:
        # The low byte is the kind; the rest says which of its cases.
        return sqlite_code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    # A connection that cannot be made, or breaks, has no state of its own.
    if (state := getattr(error.orig, "sqlstate", None)) is None:
        return _REFUSED.search(str(error.orig)) is None
    return str(state).startswith(_PASSING_STATES)


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions take SQLite's write lock when they begin.

    A transaction that reads first and then writes fails at once on SQLite when another process
    wrote in between; no waiting time helps there.
    """
    return engine.execution_options(selector_writes=True)


def _sqlite_file(url: URL) -> Path:
    name = url.database or ""
    if name in ("", ":memory:") or name.startswith("file:") or url.query:
        raise InputError(
            f"Store '{safe_url(url)}': SQLite must be a plain file here, because several "
            "processes share it. Legal: sqlite:///selector.db."
        )
    return Path(name).expanduser().absolute()


def _listen_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        # Python's own transaction handling begins too late; `begin` below does it instead.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {round(_busy_seconds.get() * 1000)}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("selector_writes")
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(_busy_seconds.get() * 1000)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_utc(connection: Any, _record: object) -> None:
    # Optuna keeps times without a zone, so every session must agree on one; an option in the URL
    # would lose against PGTZ.
    connection.autocommit = True
    connection.execute("SET TIME ZONE 'UTC'")
    connection.autocommit = False


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n")[0].rstrip(".")


def _why(url: URL, error: DBAPIError) -> str:
    first_line = without_password(_first_line(error), url)
    where = f"Store '{safe_url(url)}' cannot be used: {first_line}."
    file = sqlite_file(url)
    if file is None:
        return f"{where} Is the server running, and are user, password and database right?"
    if not file.parent.is_dir():
        return (
            f"{where} The folder '{file.parent}' does not exist; create it or set SELECTOR_STORE."
        )
    if "not a database" in first_line:
        return f"{where} Set SELECTOR_STORE to another file, or move '{file}' away."
    return f"{where} Check that '{file}' can be written and that its disk has space."
