"""Schedules as a page: when each study is due next, and what became of its latest due times."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from selector.records import Firing, ScheduleSummary
from selector.reporting import figures
from selector.reporting.base import Column, FlatTable, Page, ShownTable, present
from selector.spec.calendar import moment

_FIRING = (
    "study",
    "due",
    "missed",
    "state",
    "started_at",
    "ended_at",
    "exit_code",
    "line",
    "host",
    "pid",
    "takeovers",
)


def schedules_page(schedules: Sequence[ScheduleSummary], firings: Sequence[Firing]) -> Page:
    """Every schedule in one line, then the latest firings, the newest first."""
    zones = {each.study: each.timezone for each in schedules}
    nothing = "No schedule yet. Serve some: selector schedule FILE"
    return Page(
        title="Schedules",
        tables=present(_schedules(schedules), _firings(firings, zones)),
        notes=() if schedules else (nothing,),
        document=lambda: {
            "schedules": [_plain(each) for each in schedules],
            "firings": [_plain_firing(each) for each in firings],
        },
        flat=lambda: _flat(schedules),
    )


def outcome(firing: Firing | None) -> str:
    """What became of a firing, as `ok: best 0.9312, ...`, `exit code 3: ...`, `running: ...`."""
    if firing is None:
        return figures.MISSING
    line = figures.safe(firing.line or "")
    match firing.state:
        case "ended" if firing.exit_code == 0:
            return f"ok: {line}"
        case "ended":
            return f"exit code {firing.exit_code}: {line}"
        case "skipped":
            return f"skipped: {line}"
        case "running":
            return f"running on {figures.safe(firing.host or '')}, pid {firing.pid}"
        case "waiting":
            return "waiting" if firing.started_at is None else "waiting to be resumed"


def _schedules(schedules: Sequence[ScheduleSummary]) -> ShownTable:
    columns = (
        Column("study"),
        Column("cron", drop=2),
        Column("next due"),
        Column("last due", drop=1),
        Column("came to"),
    )
    rows = tuple(
        (
            figures.safe(each.study),
            f"{each.cron}, {each.timezone}",
            moment(each.next_due, each.timezone) if each.next_due else figures.MISSING,
            moment(each.last.due, each.timezone) if each.last else figures.MISSING,
            outcome(each.last),
        )
        for each in schedules
    )
    return ShownTable("", columns, rows)


def _firings(firings: Sequence[Firing], zones: Mapping[str, str]) -> ShownTable:
    columns = (
        Column("study"),
        Column("due"),
        Column("missed", right=True, drop=2),
        Column("took", right=True, drop=1),
        Column("came to"),
    )
    rows = tuple(
        (
            figures.safe(each.study),
            moment(each.due, zones.get(each.study, "UTC")),
            str(each.missed),
            _took(each),
            outcome(each),
        )
        for each in firings
    )
    return ShownTable("Latest firings", columns, rows)


def _took(firing: Firing) -> str:
    if firing.started_at is None or firing.ended_at is None:
        return figures.MISSING
    return figures.duration((firing.ended_at - firing.started_at).total_seconds())


def _plain(schedule: ScheduleSummary) -> dict[str, Any]:
    plain = dataclasses.asdict(schedule)
    plain["last"] = _plain_firing(schedule.last) if schedule.last else None
    return plain


def _plain_firing(firing: Firing) -> dict[str, Any]:
    return {name: getattr(firing, name) for name in _FIRING}


def _flat(schedules: Sequence[ScheduleSummary]) -> FlatTable:
    """One row a schedule, its latest firing in columns that begin with `last.`."""
    plain = ("study", "file", "cron", "timezone", "next_due")
    last = _FIRING[1:]
    rows = tuple(
        (
            *(getattr(each, name) for name in plain),
            *(getattr(each.last, name) if each.last else None for name in last),
        )
        for each in schedules
    )
    return FlatTable((*plain, *(f"last.{name}" for name in last)), rows)
