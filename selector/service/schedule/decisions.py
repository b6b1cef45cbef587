"""What becomes of a due time: pure rules on the calendar, the clock and what is stored."""

from __future__ import annotations

import datetime as dt

from selector.records import DueFiring, Firing, StoredSchedule
from selector.service.schedule.files import ScheduledStudy
from selector.spec.calendar import moment, passed
from selector.spec.schema import ScheduleSpec

GRACE = dt.timedelta(minutes=10)  # a due time that is seen later than that was missed
SETBACK = dt.timedelta(hours=1)  # a clock that is set back further was wrong before


def current(
    study: ScheduledStudy,
    stored: StoredSchedule | None,
    *,
    now: dt.datetime,
    last_look: dt.datetime | None,
) -> StoredSchedule:
    """The schedule as it holds from now on, and the time up to which all is decided.

    A new or changed calendar begins when the scheduler first saw it. One that just started keeps
    the latest due time within GRACE, for a timer may have started it at the due time itself.
    """
    schedule = study.schedule
    until, file = last_look or _just_before(schedule, now), str(study.file)
    if stored is not None:
        if (stored.cron, stored.timezone) == (schedule.cron, schedule.timezone):
            # The file may lie elsewhere on the machine of another scheduler.
            until, file = stored.decided_until, stored.file
        until = max(until, stored.decided_until)
        if until > now + SETBACK:
            until = now
    return StoredSchedule(
        study=study.name,
        file=file,
        cron=schedule.cron,
        timezone=schedule.timezone,
        decided_until=until,
    )


def _just_before(schedule: ScheduleSpec, now: dt.datetime) -> dt.datetime:
    latest, _ = passed(schedule.cron, schedule.timezone, after=now - GRACE, until=now)
    return now if latest is None else latest - dt.timedelta(seconds=1)


def decide(
    study: ScheduledStudy,
    *,
    after: dt.datetime,
    now: dt.datetime,
    going_on: Firing | None,
) -> DueFiring | None:
    """The latest due time in (after, now] with its fate, or None; it stands for those before it.

    `going_on` is an earlier firing of the study that has not ended.
    """
    schedule = study.schedule
    due, missed = passed(schedule.cron, schedule.timezone, after=after, until=now)
    if due is None:
        return None
    line = None
    if schedule.catch_up == "none" and now - due > GRACE:
        line = "missed, for no scheduler was looking (catch_up: none)"
    elif schedule.overlap == "skip" and going_on is not None:
        before = moment(going_on.due, schedule.timezone)
        line = f"the firing of {before} had not ended (overlap: skip)"
    return DueFiring(
        study=study.name,
        due=due,
        missed=missed,
        state="waiting" if line is None else "skipped",
        line=line,
    )
