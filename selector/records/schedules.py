"""Schedules as the store keeps them, and every time at which one was due: its firings."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

# `waiting` to be run, or to be resumed by the next scheduler; `skipped` will never run.
FiringState = Literal["waiting", "running", "ended", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSchedule:
    """What is known of a study's schedule; of due times up to `decided_until` nothing is open."""

    study: str
    file: str
    cron: str
    timezone: str
    decided_until: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFiring:
    """A due time that has come, and what is to become of it.

    `missed` counts the due times before it that nobody looked at; this one stands for them.
    """

    study: str
    due: dt.datetime
    missed: int
    state: Literal["waiting", "skipped"]
    line: str | None  # why it is skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a firing ended: an exit code as of the command line, and one line for people."""

    exit_code: int
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One due time of one study, as stored; `takeovers` counts schedulers that died over it."""

    id: int
    study: str
    due: dt.datetime
    missed: int
    state: FiringState
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    exit_code: int | None
    line: str | None
    host: str | None  # of the scheduler that runs it, or ran it last
    pid: int | None
    takeovers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFiring:
    """A firing that waits or runs, as all schedulers see it.

    `process_created` is when its scheduler's process began, in seconds after the machine did.
    `seconds_left` of its lease is 0 or less where that is over, None where it has none.
    """

    firing: Firing
    process_created: float | None
    token: str | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSummary:
    """One schedule with its next due time and its latest firing, for a list."""

    study: str
    file: str
    cron: str
    timezone: str
    next_due: dt.datetime | None
    last: Firing | None
