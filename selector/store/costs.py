"""Queries on what networks cost. Each takes an open connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields

from sqlalchemy import Connection, insert, select

from selector.records import NetworkCost
from selector.store.studies import study_id
from selector.store.tables import CostTable


def record_costs(connection: Connection, study: str, costs: Iterable[NetworkCost]) -> None:
    """Add the costs of a study; what was measured first stays, for the search space follows it."""
    key = study_id(connection, study)
    rows = [{"study_id": key, **asdict(row)} for row in costs]
    known = select(CostTable.backbone).where(CostTable.study_id == key).limit(1)
    if rows and connection.scalar(known) is None:
        connection.execute(insert(CostTable), rows)


def list_costs(connection: Connection, study: str) -> tuple[NetworkCost, ...]:
    """The costs of a study by backbone and image size; empty where nothing was measured."""
    columns = [getattr(CostTable, field.name) for field in fields(NetworkCost)]
    rows = connection.execute(
        select(*columns)
        .where(CostTable.study_id == study_id(connection, study))
        .order_by(CostTable.backbone, CostTable.image_size)
    ).all()
    return tuple(NetworkCost(**row._asdict()) for row in rows)
