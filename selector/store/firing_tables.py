"""The tables of schedules and firings."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import CheckConstraint, Double, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from selector.store.tables import Table


class ScheduleTable(Table):
    """The schedule of one study, which need not have run yet."""

    __tablename__ = "selector_schedules"

    study: Mapped[str] = mapped_column(String(200), primary_key=True)
    file: Mapped[str]
    cron: Mapped[str]
    timezone: Mapped[str]
    decided_until: Mapped[dt.datetime]


class FiringTable(Table):
    """One due time of one study: there is never a second row for it."""

    __tablename__ = "selector_firings"
    __table_args__ = (
        UniqueConstraint("study", "due"),
        CheckConstraint("state IN ('waiting', 'running', 'ended', 'skipped')", name="state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(String(200))
    due: Mapped[dt.datetime]
    missed: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    exit_code: Mapped[int | None]
    line: Mapped[str | None]
    host: Mapped[str | None]
    pid: Mapped[int | None]
    process_created: Mapped[float | None] = mapped_column(Double)
    takeovers: Mapped[int]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[float | None] = mapped_column(Double)  # see leases.py for the clock
