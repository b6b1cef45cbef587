"""Bring a database to the schema this program knows, once, whoever comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from selector.errors import ConflictError
from selector.store.engine import safe_url, writing
from selector.store.lock import engine_lock

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "selector_alembic_version"
HEAD = "0008"  # the newest revision in migrations/versions


def migrate(engine: Engine) -> None:
    """Create or upgrade our tables; nothing is imported or locked when they are up to date.

    Raises ConflictError when a newer program made the schema.
    """
    with engine.connect() as connection:
        if current_revision(connection) == HEAD:
            return
    with engine_lock(engine, "schema"):
        if engine.dialect.name == "sqlite":
            _switch_to_wal(engine)
        with writing(engine).begin() as connection:
            if current_revision(connection) != HEAD:
                _upgrade(connection)


def current_revision(connection: Connection) -> str | None:
    """The schema's revision in the database, or None where our tables were never made."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return revision


def alembic_config() -> Config:
    """Alembic's settings for our migrations, made in memory: there is no alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "selector.store:migrations")
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    revision = current_revision(connection)
    if revision is not None and revision not in known:
        raise ConflictError(
            f"Store '{safe_url(connection.engine.url)}' has schema '{revision}', made by a newer "
            f"selector; this one knows up to '{HEAD}'. Upgrade: pip install -U selector-finetune."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _switch_to_wal(engine: Engine) -> None:
    """Let readers and one writer work side by side; the file remembers it."""
    connection = engine.raw_connection()  # the mode cannot change inside a transaction
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
