"""Queries on studies and their runs. Each takes an open connection; the caller ends it."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from selector.errors import ConflictError, InputError, UnknownNameError
from selector.records import (
    RunFailure,
    RunRow,
    RunStart,
    RunStatus,
    StudyRow,
    StudyState,
    StudySummary,
    TrialCounts,
)
from selector.store.encode import pack_validation, summary_to_plain, unpack_summary
from selector.store.engine import safe_url
from selector.store.firing_tables import FiringTable, ScheduleTable
from selector.store.passwords import without_password
from selector.store.tables import FinalsTable, RunTable, StudyTable, TrialTable

_CLOCK_SECONDS = 2.0  # what the clocks of a process and of its run may differ by
_COUNTED = ("complete", "pruned", "failed", "running")


def study_id(connection: Connection, name: str) -> int:
    """The key of a study; an unknown name is an InputError that lists the known ones."""
    found = connection.scalar(select(StudyTable.id).where(StudyTable.name == name))
    if found is None:
        raise unknown_study(connection, name)
    return found


def unknown_study(connection: Connection, name: str) -> InputError:
    """The error that says which studies there are instead of `name`."""
    finals = select(FinalsTable.study_id)  # of which people know by their studies
    known = connection.scalars(select(StudyTable.name).where(StudyTable.id.not_in(finals))).all()
    where = safe_url(connection.engine.url)
    if not known:
        return InputError(
            f"Unknown study '{name}': the store '{where}' is empty. "
            "Start one with `selector run`, or set SELECTOR_STORE."
        )
    return UnknownNameError("study", name, known, within=where)


# --- studies ------------------------------------------------------------------------------------


def find_study(connection: Connection, name: str) -> StudyRow | None:
    """One study with its data summary, or None."""
    row = connection.execute(select(StudyTable.__table__).filter_by(name=name)).one_or_none()
    if row is None:
        return None
    return StudyRow(
        name=row.name,
        metric=row.metric,
        goal=row.goal,
        spec=row.spec,
        spec_sha256=row.spec_sha256,
        data=unpack_summary(row.fingerprint, row.data, row.validation),
        created_at=row.created_at,
        version=row.version,
    )


def create_study(connection: Connection, study: StudyRow) -> None:
    """Add a study; ConflictError where the name is taken."""
    values = {"name": study.name, "created_at": study.created_at, **_values(study)}
    try:
        connection.execute(insert(StudyTable), values)
    except IntegrityError:
        raise ConflictError(
            f"Study '{study.name}' exists already in '{safe_url(connection.engine.url)}'. "
            "Choose another name: --set name=NEWNAME."
        ) from None


def update_study(connection: Connection, study: StudyRow) -> None:
    """Replace what is stored of a study, but for its name and the time it was made."""
    key = study_id(connection, study.name)
    connection.execute(update(StudyTable).where(StudyTable.id == key).values(_values(study)))


def _values(study: StudyRow) -> dict[str, Any]:
    return {
        "metric": study.metric,
        "goal": study.goal,
        "spec": dict(study.spec),
        "spec_sha256": study.spec_sha256,
        "fingerprint": study.data.fingerprint,
        "data": summary_to_plain(study.data),
        "validation": pack_validation(study.data),
        "version": study.version,
    }


def delete_study(connection: Connection, name: str) -> None:
    """Delete a study and all that hangs on it, its finals and its schedule too.

    Its openings of the test split stay: what was seen of the data stays seen.
    """
    key = study_id(connection, name)
    for table in (FiringTable, ScheduleTable):
        connection.execute(delete(table).where(table.study == name))
    finals = select(FinalsTable.study_id).where(FinalsTable.parent_id == key)
    connection.execute(delete(StudyTable).where(StudyTable.id.in_(finals)))
    connection.execute(delete(StudyTable).where(StudyTable.id == key))


def list_studies(
    connection: Connection, states: Mapping[int, StudyState]
) -> tuple[StudySummary, ...]:
    """Every study in one line each, the newest first; finals belong to their study."""
    studies = connection.execute(
        select(
            StudyTable.id,
            StudyTable.name,
            StudyTable.metric,
            StudyTable.goal,
            StudyTable.created_at,
            StudyTable.spec,
        )
        .where(StudyTable.id.not_in(select(FinalsTable.study_id)))
        .order_by(StudyTable.created_at.desc(), StudyTable.name)
    ).all()
    counts = counts_by_study(connection)
    best = _best_by_study(connection)
    statuses = _last_status_by_study(connection)
    return tuple(
        StudySummary(
            name=row.name,
            metric=row.metric,
            goal=row.goal,
            best_score=best[row.id].score if row.id in best else None,
            best_trial=best[row.id].number if row.id in best else None,
            best_backbone=best[row.id].backbone if row.id in best else None,
            counts=counts.get(row.id, TrialCounts()),
            created_at=row.created_at,
            last_run_status=statuses.get(row.id),
            state=states[row.id],
            budget_trials=(row.spec.get("budget") or {}).get("trials"),
        )
        for row in studies
    )


def count_trials(connection: Connection, name: str) -> TrialCounts:
    """How many trials of a study are in each state."""
    key = study_id(connection, name)
    return counts_by_study(connection, key).get(key, TrialCounts())


def counts_by_study(connection: Connection, only: int | None = None) -> dict[int, TrialCounts]:
    query = (
        select(TrialTable.study_id, TrialTable.state, func.count().label("n"))
        .where(TrialTable.state.in_(_COUNTED), TrialTable.retried.is_(False))
        .group_by(TrialTable.study_id, TrialTable.state)
    )
    if only is not None:
        query = query.where(TrialTable.study_id == only)
    rows = connection.execute(query).all()
    counts: dict[int, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(row.study_id, {})[row.state] = row.n
    return {key: TrialCounts(**by_state) for key, by_state in counts.items()}


def _best_by_study(connection: Connection) -> dict[int, Any]:
    """The best complete trial of each study, equal scores in the leaderboard's order."""
    natural = case((StudyTable.goal == "maximize", -TrialTable.score), else_=TrialTable.score)
    place = (
        func.row_number()
        .over(
            partition_by=TrialTable.study_id,
            order_by=(natural, TrialTable.parameters, TrialTable.number),
        )
        .label("place")
    )
    ranked = (
        select(TrialTable.study_id, TrialTable.number, TrialTable.backbone, TrialTable.score, place)
        .join(StudyTable, StudyTable.id == TrialTable.study_id)
        .where(TrialTable.state == "complete")
        .subquery()
    )
    rows = connection.execute(select(ranked).where(ranked.c.place == 1)).all()
    return {row.study_id: row for row in rows}


# --- runs ---------------------------------------------------------------------------------------


def begin_run(connection: Connection, start: RunStart) -> int:
    """Add a run that is going on; its key. Runs that were killed on this host end here."""
    study = study_id(connection, start.study)
    _end_killed_runs(connection, study)
    values = {
        "study_id": study,
        "status": "running",
        "command": start.command,
        "spec": dict(start.spec),
        "fingerprint": start.fingerprint,
        "environment": dict(start.environment),
        "host": start.host,
        "pid": start.pid,
        "started_at": dt.datetime.now(dt.UTC),
    }
    key = connection.execute(insert(RunTable).values(values).returning(RunTable.id)).scalar_one()
    return int(key)


def _end_killed_runs(connection: Connection, study: int) -> None:
    """Call runs interrupted whose process is gone; those of other hosts are left alone."""
    going = select(RunTable.id, RunTable.pid, RunTable.started_at).where(
        RunTable.study_id == study,
        RunTable.status == "running",
        RunTable.host == socket.gethostname(),
    )
    for run in connection.execute(going).all():
        if not run_lives(run.pid, run.started_at):
            values = {"status": "interrupted", "ended_at": _last_sign_of(connection, run)}
            connection.execute(update(RunTable).where(RunTable.id == run.id).values(values))


def run_lives(pid: int, started_at: dt.datetime) -> bool:
    """Whether the process that started a run still exists, and not a later one of its number."""
    import psutil  # reading results does without it

    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return created <= started_at.timestamp() + _CLOCK_SECONDS


def _last_sign_of(connection: Connection, run: Any) -> dt.datetime:
    """The last time that a killed run wrote something: the time since then was not its own."""
    signs = connection.execute(
        select(TrialTable.started_at, TrialTable.ended_at).where(TrialTable.run_id == run.id)
    ).all()
    known = [sign for row in signs for sign in row if sign is not None]
    last: dt.datetime = max([run.started_at, *known])
    return last


def end_run(
    connection: Connection, run_id: int, status: RunStatus, failure: RunFailure | None = None
) -> None:
    """Record how a run ended, and why if before its budget; no password is stored."""
    values: dict[str, Any] = {"status": status, "ended_at": dt.datetime.now(dt.UTC)}
    if failure is not None:
        message = without_password(failure.message, connection.engine.url)
        values |= {"cause": failure.cause, "message": message}
        values |= {"at_trial": failure.trial, "at_epoch": failure.epoch}
    done = connection.execute(update(RunTable).where(RunTable.id == run_id).values(values))
    if done.rowcount != 1:
        raise ConflictError(f"Run {run_id} is no longer in the store; was its study deleted?")


def list_runs(connection: Connection, name: str) -> tuple[RunRow, ...]:
    """The runs of a study, in the order they began."""
    rows: Sequence[Any] = connection.execute(
        select(RunTable.__table__)
        .where(RunTable.study_id == study_id(connection, name))
        .order_by(RunTable.id)
    ).all()
    return tuple(
        RunRow(
            id=row.id,
            status=row.status,
            command=row.command,
            spec=row.spec,
            fingerprint=row.fingerprint,
            environment=row.environment,
            host=row.host,
            pid=row.pid,
            started_at=row.started_at,
            ended_at=row.ended_at,
            failure=None
            if row.cause is None
            else RunFailure(
                cause=row.cause, message=row.message, trial=row.at_trial, epoch=row.at_epoch
            ),
        )
        for row in rows
    )


def _last_status_by_study(connection: Connection) -> dict[int, str]:
    last = select(func.max(RunTable.id)).group_by(RunTable.study_id)
    rows = connection.execute(
        select(RunTable.study_id, RunTable.status).where(RunTable.id.in_(last))
    ).all()
    return {row.study_id: row.status for row in rows}
