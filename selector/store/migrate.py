"""The schema of the store: made where there is none, and changed only where somebody says so.

A store of another schema is refused by every command but `selector db upgrade`, and is left as it
was: who changes a shared database in passing breaks everybody who still runs the old program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from selector.errors import ConflictError
from selector.store.engine import safe_url, writing
from selector.store.lock import engine_lock

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "selector_alembic_version"
HEAD = "0014"  # the newest revision in migrations/versions


def ensure_schema(engine: Engine) -> None:
    """Make our tables where there are none; nothing is imported or locked when they are there.

    Raises ConflictError for a schema that is older or newer than this program's.
    """
    with engine.connect() as connection:
        revision = current_revision(connection)
    if revision is None:
        upgrade(engine)
    elif revision != HEAD:
        raise other_schema(engine, revision)


def upgrade(engine: Engine) -> str | None:
    """Bring our tables to this program's schema, all or nothing; gives the revision before.

    Whoever comes first does it, others wait. Raises ConflictError for a newer schema.
    """
    with engine_lock(engine, "schema"):
        if engine.dialect.name == "sqlite":
            _switch_to_wal(engine)
        with writing(engine).begin() as connection:
            before = current_revision(connection)
            if before is not None and is_newer(before):
                raise other_schema(engine, before)
            if before != HEAD:
                _migrate(connection)
    return before


def current_revision(connection: Connection) -> str | None:
    """The schema's revision in the database, or None where our tables were never made."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return revision


def is_newer(revision: str) -> bool:
    """Whether a later program made this revision: they are numbered, in as many digits."""
    return revision > HEAD


def other_schema(engine: Engine, revision: str) -> ConflictError:
    """The error of a store that this program does not read, with the way out."""
    where = f"Store '{safe_url(engine.url)}' has schema '{revision}'"
    if is_newer(revision):
        return ConflictError(
            f"{where}, made by a newer selector; this one knows up to '{HEAD}'. "
            "Upgrade: pip install -U selector-finetune."
        )
    return ConflictError(
        f"{where}, made by an earlier selector; this one needs '{HEAD}'. Nothing was changed. "
        "When no run uses it any more: selector db upgrade (it makes a backup first)."
    )


def alembic_config() -> Config:
    """Alembic's settings for our migrations, made in memory: there is no alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "selector.store:migrations")
    return config


def _migrate(connection: Connection) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _switch_to_wal(engine: Engine) -> None:
    """Let readers and one writer work side by side; the file remembers it."""
    connection = engine.raw_connection()  # the mode cannot change inside a transaction
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
