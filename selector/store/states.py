"""What each study of the store is doing, as far as the store and this machine can tell."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, or_, select

from selector.records import StudyState, TrialCounts
from selector.store.stops import StopTable
from selector.store.studies import counts_by_study, run_lives, study_id
from selector.store.tables import FinalsTable, RunTable, StudyTable, TrialTable

# The command of the run that stands for a submission: it ends at once, and workers do the rest.
SUBMITTED = "submitted to selector serve"


def study_state(connection: Connection, name: str) -> StudyState:
    """What one study is doing; finals do what their study does."""
    key = study_id(connection, name)
    parent = connection.scalar(select(FinalsTable.parent_id).where(FinalsTable.study_id == key))
    return states_by_study(connection)[key if parent is None else parent]


def has_finished(connection: Connection, name: str) -> bool:
    """Whether a study's last run ended by itself and no trial of it runs or waits to."""
    if study_state(connection, name) != "finished":
        return False
    key = study_id(connection, name)
    finals = select(FinalsTable.study_id).where(FinalsTable.parent_id == key)
    own = or_(TrialTable.study_id == key, TrialTable.study_id.in_(finals))
    open_still = TrialTable.state.in_(("running", "waiting"))
    return connection.scalar(select(func.count()).where(own, open_still)) == 0


def states_by_study(connection: Connection) -> dict[int, StudyState]:
    """What every study is doing, by its key.

    A run of another host that was killed counts as going on, for nobody here can know.
    """
    stopped = set(
        connection.scalars(select(StopTable.study_id).where(StopTable.lifted_after.is_(None)))
    )
    last, running = _runs(connection)
    counts = counts_by_study(connection)
    return {
        key: _state(
            stopped=key in stopped,
            running=key in running,
            last=last.get(key),
            counts=counts.get(key, TrialCounts()),
            budget=budget_of(spec),
        )
        for key, spec in connection.execute(select(StudyTable.id, StudyTable.spec)).all()
    }


def budget_of(spec: Mapping[str, Any]) -> int | None:
    """The trials that a stored study file allows."""
    trials: int | None = (spec.get("budget") or {}).get("trials")
    return trials


def _state(
    *,
    stopped: bool,
    running: bool,
    last: Any,
    counts: TrialCounts,
    budget: int | None,
) -> StudyState:
    if stopped:
        return "stopped"
    if running:
        return "running"
    if last is None or (last.command == SUBMITTED and not _used_up(counts, budget)):
        return "waiting"
    if last.status == "complete":
        return "finished"
    return "failed" if last.status == "failed" else "interrupted"


def _used_up(counts: TrialCounts, budget: int | None) -> bool:
    return budget is not None and counts.finished >= budget


def _runs(connection: Connection) -> tuple[dict[int, Any], set[int]]:
    """The last run of each study, and the studies of which one goes on."""
    newest = select(func.max(RunTable.id)).group_by(RunTable.study_id)
    rows = connection.execute(
        select(
            RunTable.study_id,
            RunTable.id,
            RunTable.status,
            RunTable.command,
            RunTable.host,
            RunTable.pid,
            RunTable.started_at,
        )
        .where(or_(RunTable.status == "running", RunTable.id.in_(newest)))
        .order_by(RunTable.id)
    ).all()
    going = {row.study_id for row in rows if row.status == "running" and _goes_on(row)}
    last: dict[int, Any] = {row.study_id: row for row in rows}
    return last, going


def _goes_on(row: Any) -> bool:
    started_at: dt.datetime = row.started_at
    return row.host != socket.gethostname() or run_lives(row.pid, started_at)
