"""When a schedule's times come: cron expressions in a time zone, its clock changes included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from selector.errors import did_you_mean
from selector.spec.parameters import show

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_FORM = f"write five fields ({', '.join(FIELDS)}), such as 0 2 * * 1-5 for 2:00 from Mon to Fri."
_ALLOWED = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L (the last), and one that the months have",
    "month": "1 to 12 or JAN to DEC",
    "day-of-week": "0 (Sunday) to 7 (Sunday) or SUN to SAT, ranges upwards",
}
_LONGEST = 200  # characters; no calendar needs more
_ANY_DAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def read_cron(text: str) -> str:
    """The expression in one spelling; ValueError says what is wrong with it."""
    fields = text.split()
    if len(fields) != len(FIELDS) or len(text) > _LONGEST:
        raise ValueError(f"{show(text)} is not a cron expression; {_FORM}")
    try:
        next(CronSim(text, _ANY_DAY))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        allowed = _ALLOWED.get(field)
        where = f"its {field} is wrong; allowed: {allowed}" if allowed else f"{error}; {_FORM}"
        raise ValueError(f"{show(text)} is not a cron expression: {where}.") from None
    except StopIteration:
        raise ValueError(f"{show(text)} never comes in the next 50 years.") from None
    return " ".join(fields)


def read_timezone(name: str) -> str:
    """The name of a time zone that this machine knows; ValueError names the closest."""
    known = available_timezones()
    if name in known:
        return name
    folded = {each.casefold(): each for each in sorted(known)}
    # People know their city, not its continent.
    cities = {each.rpartition("/")[2]: each for each in folded}
    wanted = name.casefold().replace(" ", "_")
    near = folded.get(cities.get(wanted, wanted))
    hint = f" Did you mean '{near}'?" if near else did_you_mean(name, known)
    raise ValueError(
        f"{show(name)} is not a time zone.{hint} Write a name such as Europe/Berlin or UTC."
    )


Cron = Annotated[str, AfterValidator(read_cron)]
TimeZone = Annotated[str, AfterValidator(read_timezone)]


def due_times(cron: str, timezone: str, *, after: dt.datetime) -> Iterator[dt.datetime]:
    """Every due time later than `after`, ascending, in UTC; it ends 50 years after the last.

    Where minute and hour are numbers, each local time comes once a day: one that the clocks leave
    out comes at the first minute after the gap, one that they repeat comes the first time only.
    Where either begins with `*`, it goes by elapsed time. These are the rules of Debian's cron.
    """
    local = after.astimezone(ZoneInfo(timezone))
    for due in CronSim(cron, local):
        instant = due.astimezone(dt.UTC)
        # In the repeated hour local times begin anew, behind an `after` of its second half.
        if instant > after:
            yield instant


def next_due(cron: str, timezone: str, *, after: dt.datetime) -> dt.datetime | None:
    """The first due time later than `after`, or None where none is in sight."""
    return next(due_times(cron, timezone, after=after), None)


def passed(
    cron: str, timezone: str, *, after: dt.datetime, until: dt.datetime
) -> tuple[dt.datetime | None, int]:
    """The latest due time in (after, until], and how many there were before it."""
    latest, count = None, 0
    for due in due_times(cron, timezone, after=after):
        if due > until:
            break
        latest, count = due, count + 1
    return latest, max(count - 1, 0)


def moment(time: dt.datetime, timezone: str) -> str:
    """An instant to the minute, in the schedule's own time zone."""
    return f"{time.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M %Z}"
