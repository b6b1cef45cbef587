"""Queries on exports. Each takes an open connection."""

from __future__ import annotations

import datetime as dt
import socket
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, String, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from selector.records import StoredBundle
from selector.store.studies import study_id
from selector.store.tables import OfStudy, StudyTable, Table


class BundleTable(Table):
    """An export that passed its gate, by the folder that it was written to."""

    __tablename__ = "selector_bundles"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[OfStudy] = mapped_column(index=True)
    trial: Mapped[int]
    format: Mapped[str] = mapped_column(String(32))
    host: Mapped[str]
    folder: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[dt.datetime]


def record_bundle(
    connection: Connection, study: str, trial: int, fmt: str, folder: Path, sha256: str, size: int
) -> None:
    """Record an export that lies in `folder` on this host, in place of an earlier one there."""
    host = socket.gethostname()
    connection.execute(
        delete(BundleTable).where(BundleTable.host == host, BundleTable.folder == str(folder))
    )
    values = {
        "study_id": study_id(connection, study),
        "trial": trial,
        "format": fmt,
        "host": host,
        "folder": str(folder),
        "sha256": sha256,
        "bytes": size,
        "made_at": dt.datetime.now(dt.UTC),
    }
    connection.execute(insert(BundleTable), values)


def list_bundles(connection: Connection, study: str) -> tuple[StoredBundle, ...]:
    """The exports of a study, the newest first."""
    rows = connection.execute(
        select(BundleTable.__table__)
        .where(BundleTable.study_id == study_id(connection, study))
        .order_by(BundleTable.id.desc())
    ).all()
    return tuple(_bundle(row, study) for row in rows)


def find_bundle(connection: Connection, key: int) -> StoredBundle | None:
    """One export, or None where the key is unknown."""
    row = connection.execute(
        select(BundleTable.__table__, StudyTable.name)
        .join(StudyTable, StudyTable.id == BundleTable.study_id)
        .where(BundleTable.id == key)
    ).one_or_none()
    return None if row is None else _bundle(row, row.name)


def _bundle(row: Row[Any], study: str) -> StoredBundle:
    return StoredBundle(
        id=row.id,
        study=study,
        trial=row.trial,
        format=row.format,
        host=row.host,
        folder=Path(row.folder),
        sha256=row.sha256,
        bytes=row.bytes,
        made_at=row.made_at,
    )
