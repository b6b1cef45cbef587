"""What hangs on a study in the store, counted table by table. Each query takes a connection."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Select, false, func, or_, select
from sqlalchemy import Table as SqlTable

from selector.store.studies import study_id
from selector.store.tables import FinalsTable, StudyTable, Table


def count_rows(connection: Connection, study: str) -> Mapping[str, int]:
    """The rows that go with a study and its finals, by table, without tables that have none.

    Whatever table refers to a study, or to something that does, is counted: none is listed here.
    """
    key = study_id(connection, study)
    finals = select(FinalsTable.study_id).where(FinalsTable.parent_id == key)
    ids: dict[str, Select[int]] = {
        StudyTable.__tablename__: select(StudyTable.id).where(
            or_(StudyTable.id == key, StudyTable.id.in_(finals))
        )
    }
    counts: dict[str, int] = {}
    for table in Table.metadata.sorted_tables:  # a table comes after those it refers to
        condition: ColumnElement[bool]
        if table.name == StudyTable.__tablename__:
            condition = table.c.id.in_(ids[table.name])
        else:
            condition = or_(false(), *_references(table, ids))
            if "id" in table.c:
                ids[table.name] = select(table.c.id).where(condition)
        rows = connection.scalar(select(func.count()).select_from(table).where(condition)) or 0
        if rows:
            counts[table.name] = rows
    return counts


def _references(table: SqlTable, ids: Mapping[str, Select[int]]) -> list[ColumnElement[bool]]:
    """That a row goes when what it refers to goes; a key that is only emptied is no reason."""
    return [
        key.parent.in_(ids[key.column.table.name])
        for key in table.foreign_keys
        if key.ondelete == "CASCADE" and key.column.table.name in ids
    ]
