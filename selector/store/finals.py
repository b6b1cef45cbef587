"""Queries on finals: their study, their heats, their pick. Each takes an open connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from selector.records import FinalRun, Heat, StoredFinals, StudyRow
from selector.store.studies import create_study, study_id
from selector.store.tables import FinalsTable, HeatTable, StudyTable, TrialTable


def create_finals(
    connection: Connection, parent: str, finals: StudyRow, fold_sizes: Sequence[int]
) -> None:
    """Add the study that holds the finals of `parent`; ConflictError where its name is taken."""
    key = study_id(connection, parent)
    create_study(connection, finals)
    values = {
        "study_id": study_id(connection, finals.name),
        "parent_id": key,
        "fold_sizes": list(fold_sizes),
    }
    connection.execute(insert(FinalsTable), values)


def find_finals(connection: Connection, parent: str) -> StoredFinals | None:
    """The finals of a study, or None where it has none yet."""
    row = connection.execute(
        select(
            StudyTable.name,
            FinalsTable.fold_sizes,
            FinalsTable.pick,
            FinalsTable.reason,
            FinalsTable.decided_at,
        )
        .join(StudyTable, StudyTable.id == FinalsTable.study_id)
        .where(FinalsTable.parent_id == study_id(connection, parent))
    ).one_or_none()
    if row is None:
        return None
    return StoredFinals(
        name=row.name,
        fold_sizes=tuple(row.fold_sizes),
        pick=row.pick,
        reason=row.reason,
        decided_at=row.decided_at,
    )


def decide_finals(connection: Connection, parent: str, pick: int | None, reason: str) -> None:
    """Record the pick of the finals, or that they came to none."""
    values = {"pick": pick, "reason": reason, "decided_at": dt.datetime.now(dt.UTC)}
    key = study_id(connection, parent)
    connection.execute(update(FinalsTable).where(FinalsTable.parent_id == key).values(values))


def reopen_finals(connection: Connection, parent: str) -> None:
    """Say that the finals go on; the pick so far stays until they end again."""
    key = study_id(connection, parent)
    of_parent = FinalsTable.parent_id == key
    connection.execute(update(FinalsTable).where(of_parent).values(decided_at=None))


def insert_heat(connection: Connection, trial_id: int, heat: Heat) -> None:
    """Say which heat a trial of the finals is."""
    values = {"trial_id": trial_id, "finalist": heat.finalist, "fold": heat.fold}
    connection.execute(insert(HeatTable), values)


def list_final_runs(connection: Connection, finals: str) -> tuple[FinalRun, ...]:
    """Every trial of the study that holds the finals, by number."""
    rows = connection.execute(
        select(
            TrialTable.number,
            TrialTable.state,
            TrialTable.seed,
            TrialTable.score,
            TrialTable.seconds,
            HeatTable.finalist,
            HeatTable.fold,
        )
        .join(HeatTable, HeatTable.trial_id == TrialTable.id)
        .where(TrialTable.study_id == study_id(connection, finals))
        .order_by(TrialTable.number)
    ).all()
    return tuple(
        FinalRun(
            number=row.number,
            heat=Heat(row.finalist, row.seed, row.fold),
            state=row.state,
            score=row.score,
            seconds=row.seconds,
        )
        for row in rows
    )
