"""Cron expressions in time zones: what is refused, and when the others come."""

from __future__ import annotations

import datetime as dt
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.errors import StudyFileError
from selector.spec import from_plain, parse_study, to_plain, to_yaml
from selector.spec.calendar import due_times, moment, next_due, passed

BERLIN = "Europe/Berlin"
STUDY = """\
name: tiny
data: {source: "builtin:digits"}
metric: {name: f1_macro, goal: maximize}
search: {backbone: "toy:cnn"}
"""


def local(cron: str, start: str, count: int, timezone: str = BERLIN) -> list[str]:
    """The next due times in local time, with the offset that tells repeated hours apart."""
    after = dt.datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(timezone))
    times = islice(due_times(cron, timezone, after=after), count)
    return [f"{time.astimezone(ZoneInfo(timezone)):%m-%d %H:%M %z}" for time in times]


def test_a_schedule_has_the_defaults_of_a_careful_user():
    schedule = parse_study(f'{STUDY}schedule: {{cron: "0 2 * * 1-5"}}').schedule
    assert schedule is not None
    assert (schedule.timezone, schedule.overlap, schedule.catch_up) == ("UTC", "skip", "once")
    assert parse_study(STUDY).schedule is None


def test_a_schedule_is_written_back_as_it_was_read():
    cron = '{cron: "0  2 * * mon-fri", timezone: Europe/Berlin, overlap: queue, catch_up: none}'
    spec = parse_study(f"{STUDY}schedule: {cron}")
    assert spec.schedule is not None
    assert spec.schedule.cron == "0 2 * * mon-fri"
    assert from_plain(to_plain(spec)) == spec == parse_study(to_yaml(spec))


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ('{cron: "61 2 * * *"}', "5:12: schedule.cron: '61 2 * * *' is not a cron expression: its"),
        ('{cron: "61 2 * * *"}', "minute is wrong; allowed: 0 to 59."),
        ('{cron: "0 2 * * FRI-MON"}', "its day-of-week is wrong; allowed: 0 (Sunday) to 7"),
        ('{cron: "0 2 30 2 *"}', "its day-of-month is wrong"),
        ('{cron: "0 0 2 * * *"}', "write five fields (minute, hour, day of month, month, day"),
        ('{cron: "@daily"}', "such as 0 2 * * 1-5 for 2:00 from Mon to Fri."),
        ("{cron: 5}", "'5' is not a cron expression"),
        (f'{{cron: "{"9" * 5000} * * * *"}}', "is not a cron expression"),
        ('{cron: "* * */20 * 1L"}', "never comes in the next 50 years."),
        ("{cron: */5 * * * *}", "unknown alias '*/5'; anchor it first with &, or put it in quotes"),
        ("{timezone: UTC}", "schedule.cron: is required."),
        ('{cron: "0 2 * * *", timezone: Berlin}', "Did you mean 'Europe/Berlin'?"),
        ('{cron: "0 2 * * *", timezone: europe/berln}', "is not a time zone. Did you mean"),
        ('{cron: "0 2 * * *", timezone: New York}', "Did you mean 'America/New_York'?"),
        ('{cron: "0 2 * * *", timezone: ../../etc/passwd}', "is not a time zone. Write a name"),
        ('{cron: "0 2 * * *", overlap: allow}', "'allow' is not allowed. Allowed: skip, queue."),
        ('{cron: "0 2 * * *", catch_up: all}', "'all' is not allowed. Allowed: once, none."),
    ],
)
def test_a_wrong_schedule_is_refused_with_the_way_out(schedule: str, message: str):
    with pytest.raises(StudyFileError) as refused:
        parse_study(f"{STUDY}schedule: {schedule}")
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_several_mistakes_of_a_schedule_are_told_at_once():
    with pytest.raises(StudyFileError) as refused:
        parse_study(f'{STUDY}schedule: {{cron: "61 2 * * *", timezone: Berln, overlp: skip}}')
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # 02:30 does not exist on March 29: it comes when the gap is over.
        ("30 2 * * *", ["03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"]),
        # Several in the gap, and one at its end, make one.
        ("15,45 2 * * *", ["03-28 02:15 +0100", "03-28 02:45 +0100", "03-29 03:00 +0200"]),
        ("0 2,3 * * *", ["03-28 02:00 +0100", "03-28 03:00 +0100", "03-29 03:00 +0200"]),
        # By elapsed time: an hour that does not exist has no times.
        ("*/30 2 * * *", ["03-28 02:00 +0100", "03-28 02:30 +0100", "03-30 02:00 +0200"]),
    ],
)
def test_a_time_that_the_clocks_leave_out_comes_after_the_gap(cron: str, expected: list[str]):
    assert local(cron, "2026-03-28T01:00", 3) == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # 02:30 comes twice on October 25: the first one counts.
        ("30 2 * * *", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
        ("0 2,3 * * *", ["10-25 02:00 +0200", "10-25 03:00 +0100"]),
        # By elapsed time: both hours count.
        ("0 * * * *", ["10-25 02:00 +0200", "10-25 02:00 +0100"]),
    ],
)
def test_a_time_that_the_clocks_repeat_comes_once(cron: str, expected: list[str]):
    assert local(cron, "2026-10-25T01:30", 2) == expected


def test_after_a_restart_in_the_repeated_hour_nothing_comes_again():
    in_second_hour = dt.datetime(2026, 10, 25, 1, 10, tzinfo=dt.UTC)
    assert moment(in_second_hour, BERLIN) == "2026-10-25 02:10 CET"
    due = next_due("30 2 * * *", BERLIN, after=in_second_hour)
    assert due == dt.datetime(2026, 10, 26, 1, 30, tzinfo=dt.UTC)


@settings(derandomize=True, deadline=None)
@given(
    cron=st.sampled_from(
        ["30 2 * * *", "*/30 2 * * *", "0 0 * * *", "59 23 * * *", "7 */3 * * *", "0 1-3 * * *"]
    ),
    timezone=st.sampled_from(
        [
            BERLIN,
            "America/New_York",
            "America/Sao_Paulo",
            "Africa/Cairo",
            "Asia/Tehran",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Asia/Kathmandu",
            "Etc/UTC",
        ]
    ),
    start=st.datetimes(dt.datetime(2010, 1, 1), dt.datetime(2030, 1, 1)),
)
def test_due_times_ascend_and_do_not_depend_on_where_one_begins(
    cron: str, timezone: str, start: dt.datetime
):
    after = start.replace(tzinfo=dt.UTC)
    times = list(islice(due_times(cron, timezone, after=after), 12))
    assert all(a < b for a, b in pairwise([after, *times]))
    for earlier, later in pairwise(times):
        assert next_due(cron, timezone, after=earlier) == later
        # A scheduler that looks at any other time in between finds the same one.
        assert next_due(cron, timezone, after=earlier + (later - earlier) / 2) == later


def test_the_latest_of_several_passed_due_times_stands_for_them():
    start = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    day = dt.timedelta(days=1)
    assert passed("0 2 * * *", "UTC", after=start, until=start) == (None, 0)
    latest = start + 4 * day + dt.timedelta(hours=2)
    assert passed("0 2 * * *", "UTC", after=start, until=start + 5 * day) == (latest, 4)
    assert passed("0 2 * * *", "UTC", after=latest, until=latest) == (None, 0)
