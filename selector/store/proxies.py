"""Queries on the proxies of backbones. Each takes an open connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from selector.records import BackboneProxies
from selector.store.studies import study_id
from selector.store.tables import ProxyTable


def record_proxies(connection: Connection, study: str, proxies: Iterable[BackboneProxies]) -> None:
    """Add the proxies of a study; what was measured first stays, for the plan follows it."""
    key = study_id(connection, study)
    if connection.scalar(select(ProxyTable.backbone).where(ProxyTable.study_id == key).limit(1)):
        return
    rows = [{"study_id": key, **asdict(row)} for row in proxies]
    connection.execute(insert(ProxyTable), rows)


def list_proxies(connection: Connection, study: str) -> tuple[BackboneProxies, ...]:
    """The proxies of a study by backbone; empty where nothing was measured."""
    table = ProxyTable
    rows = connection.execute(
        select(
            table.backbone,
            table.image_size,
            table.knn,
            table.probe,
            table.parameters,
            table.seconds,
        )
        .where(table.study_id == study_id(connection, study))
        .order_by(table.backbone)
    ).all()
    return tuple(BackboneProxies(**row._asdict()) for row in rows)
