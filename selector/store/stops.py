"""Queries on studies that were asked to stop. Each takes an open connection.

A stop holds for every run of its study until one is begun that means to go on. Runs that began
before that one stay stopped, so a worker that hears of both late still ends.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from selector.records import StopRequest
from selector.store.studies import study_id
from selector.store.tables import OfStudy, RunTable, StudyTable, Table


class StopTable(Table):
    """The latest stop of a study. Runs with a key up to `lifted_after` are stopped; NULL: all."""

    __tablename__ = "selector_stops"

    study_id: Mapped[OfStudy] = mapped_column(primary_key=True)
    who: Mapped[str]
    asked_at: Mapped[dt.datetime]
    lifted_after: Mapped[int | None]


def ask_to_stop(connection: Connection, study: str, who: str) -> None:
    """Stop every run of a study, and those that do not mean to go on, from now."""
    key = study_id(connection, study)
    connection.execute(delete(StopTable).where(StopTable.study_id == key))
    values = {"study_id": key, "who": who, "asked_at": dt.datetime.now(dt.UTC)}
    connection.execute(insert(StopTable), values)


def lift_stop(connection: Connection, study: str, before_run: int | None) -> None:
    """Let a study go on: its runs from `before_run` on, by default those to come."""
    key = study_id(connection, study)
    if before_run is None:
        last = connection.scalar(select(func.max(RunTable.id)).where(RunTable.study_id == key))
        before_run = (last or 0) + 1
    connection.execute(
        update(StopTable)
        .where(StopTable.study_id == key, StopTable.lifted_after.is_(None))
        .values(lifted_after=before_run - 1)
    )


def find_stop(connection: Connection, study: str, run_id: int | None) -> StopRequest | None:
    """The stop that holds for a run of a study, by default for one that would begin now."""
    row = connection.execute(
        select(StopTable.who, StopTable.asked_at, StopTable.lifted_after)
        .join(StudyTable, StudyTable.id == StopTable.study_id)
        .where(StudyTable.name == study)
    ).one_or_none()
    if row is None:
        return None
    lifted = row.lifted_after is not None and (run_id is None or run_id > row.lifted_after)
    return None if lifted else StopRequest(study=study, who=row.who, asked_at=row.asked_at)
