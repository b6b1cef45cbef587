"""How Alembic runs our migrations: on a given connection, or as a script of SQL.

Optuna keeps its own `alembic_version` in the same database, so ours has another name, and only
tables with our prefix are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic import context

from selector.store.migrate import VERSION_TABLE
from selector.store.tables import PREFIX, Table


def include_name(name: str | None, type_: str, _parents: Mapping[str, Any]) -> bool:
    """True for what is ours; Optuna's tables are never compared, so never dropped."""
    return type_ != "table" or (name or "").startswith(PREFIX)


def main() -> None:
    """Run the migrations that are asked for."""
    settings: dict[str, Any] = {
        "target_metadata": Table.metadata,
        "version_table": VERSION_TABLE,
        "include_name": include_name,
        "render_as_batch": True,  # SQLite cannot alter a column in place
    }
    if context.is_offline_mode():
        url = context.config.get_main_option("sqlalchemy.url")
        context.configure(url=url, literal_binds=True, **settings)
    else:
        context.configure(connection=context.config.attributes["connection"], **settings)
    with context.begin_transaction():
        context.run_migrations()


main()
