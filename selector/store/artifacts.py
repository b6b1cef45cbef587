"""Queries on the files that trials left. Each takes an open connection."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from selector.records import StoredCheckpoint
from selector.store.studies import study_id
from selector.store.tables import ArtifactTable, TrialTable
from selector.store.trials import CHECKPOINT


def list_checkpoints(connection: Connection, study: str) -> tuple[StoredCheckpoint, ...]:
    """The checkpoints of a study by trial number."""
    rows = connection.execute(
        select(TrialTable.number, ArtifactTable.file, ArtifactTable.bytes)
        .join(ArtifactTable, ArtifactTable.trial_id == TrialTable.id)
        .where(TrialTable.study_id == study_id(connection, study))
        .where(ArtifactTable.kind == CHECKPOINT)
        .order_by(TrialTable.number)
    ).all()
    return tuple(StoredCheckpoint(trial=n, file=file, bytes=size or 0) for n, file, size in rows)


def list_files(connection: Connection) -> frozenset[str]:
    """Every file that any trial of the store refers to, by its name below the artifacts folder."""
    return frozenset(connection.scalars(select(ArtifactTable.file)))


def forget_checkpoints(connection: Connection, study: str, trials: Collection[int]) -> None:
    """Take the checkpoints of some trials off the record; files are not touched."""
    ids = (
        select(TrialTable.id)
        .where(TrialTable.study_id == study_id(connection, study))
        .where(TrialTable.number.in_(list(trials)))
    )
    connection.execute(
        delete(ArtifactTable)
        .where(ArtifactTable.trial_id.in_(ids))
        .where(ArtifactTable.kind == CHECKPOINT)
    )
