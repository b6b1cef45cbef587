"""Queries on what studies took over from earlier ones. Each takes an open connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from selector.records import ImageStatistics, Reused
from selector.store.champion_tables import ImageStatisticsTable, ReusedTable
from selector.store.studies import study_id


def record_reused(connection: Connection, study: str, reused: Sequence[Reused]) -> None:
    """Record what a study takes over; what was recorded first stays, for the plan follows it."""
    key = study_id(connection, study)
    if connection.scalar(select(ReusedTable.position).where(ReusedTable.study_id == key).limit(1)):
        return
    rows = [
        {**asdict(each), "study_id": key, "position": position, "params": dict(each.params)}
        for position, each in enumerate(reused, start=1)
    ]
    if rows:
        connection.execute(insert(ReusedTable), rows)


def list_reused(connection: Connection, study: str) -> tuple[Reused, ...]:
    """What a study took over, in the order in which it is tried."""
    table = ReusedTable
    rows = connection.execute(
        select(table.study, table.trial, table.score, table.distance, table.params)
        .where(table.study_id == study_id(connection, study))
        .order_by(table.position)
    )
    return tuple(Reused(**row._asdict()) for row in rows)


def record_statistics(connection: Connection, study: str, statistics: ImageStatistics) -> None:
    """Record what the images of a study look like; what was recorded first stays."""
    if find_statistics(connection, study) is None:
        values = {"study_id": study_id(connection, study), "statistics": asdict(statistics)}
        connection.execute(insert(ImageStatisticsTable), values)


def find_statistics(connection: Connection, study: str) -> ImageStatistics | None:
    """What the images of a study look like; None where nobody has looked."""
    table = ImageStatisticsTable
    key = study_id(connection, study)
    plain = connection.scalar(select(table.statistics).where(table.study_id == key))
    if plain is None:
        return None
    return ImageStatistics(**{**plain, "mean": tuple(plain["mean"]), "sd": tuple(plain["sd"])})
