"""Clocks and time zones that are set wrong take no trial from the living and keep none."""

from __future__ import annotations

import datetime as dt
import os
import signal
import zoneinfo
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.conftest import surroundings
from tests.faults.program import Program, Strike, Surroundings, epochs_run, wait_until
from tests.faults.records import assert_ended_once, states

DAY = 86400.0
NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"
RUN = ("run", "study.yaml", "-q", "--set", "budget.trials=3", "--set", "budget.epochs=4")


def seconds_to_winter_time(zone: str) -> float:
    """From now to a second before the next hour that the clocks of a zone have twice."""
    place, now = zoneinfo.ZoneInfo(zone), dt.datetime.now(dt.UTC).replace(minute=0, second=0)
    for hours in range(1, 24 * 400):
        then = now + dt.timedelta(hours=hours)
        before, after = then.astimezone(place).utcoffset(), (then + dt.timedelta(hours=1))
        if before is not None and after.astimezone(place).utcoffset() < before:
            return (then - dt.datetime.now(dt.UTC)).total_seconds() + 3599
    raise AssertionError(f"{zone} never leaves summer time")


CLOCKS = {
    "a day behind": -DAY,
    "a day ahead": DAY,
    "at the end of summer time": seconds_to_winter_time(NEW_YORK),
}


def wrong(here: Surroundings, clock: str) -> Surroundings:
    """The same place, seen from a machine with another time zone and a clock that is set wrong."""
    zone = {"TZ": NEW_YORK, "PGTZ": NEW_YORK}
    return replace(here, environment={**here.environment, **zone}, clock_seconds=CLOCKS[clock])


@pytest.fixture
def east(here: Surroundings) -> Surroundings:
    """A machine whose clock is right, in Tokyo."""
    return replace(here, environment={**here.environment, "TZ": TOKYO, "PGTZ": TOKYO})


def each_clock(in_every_run: str) -> list[pytest.ParameterSet]:
    """All clocks; but for one they are left to the storms."""
    marks = {clock: () if clock == in_every_run else (pytest.mark.storm,) for clock in CLOCKS}
    return [pytest.param(clock, marks=marks[clock]) for clock in CLOCKS]


@pytest.mark.parametrize("clock", each_clock("at the end of summer time"))
def test_workers_with_other_clocks_leave_each_other_their_trials(
    clock: str, folder: Path, east: Surroundings
) -> None:
    """One stands still in the middle of its trial, so that the other must leave it alone."""
    url = east.environment["SELECTOR_STORE"]
    west = replace(wrong(east, clock), host="west")  # nobody sees from there who lives here
    still = Strike("selector.search.objective:_tell_observer", 2, signal=signal.SIGSTOP)
    one = Program(*RUN, folder=folder, surroundings=west, strike=still)
    wait_until(lambda: one.struck_at is not None, one)
    other = Program(*RUN, folder=folder, surroundings=east)
    # It has trained the two other trials; the first one has its first epoch.
    wait_until(lambda: epochs_run(folder).total() >= 1 + 2 * 4, one, other)
    wait_until(lambda: states(url, "faults").count("complete") == 2, one, other)
    assert other.lives, "it does not wait for the trial of the other"
    os.kill(one.process.pid or 0, signal.SIGCONT)
    codes = [program.wait() for program in (one, other)]
    printed = one.printed + other.printed
    assert codes == [0, 0] and "Traceback" not in printed, printed
    assert set(epochs_run(folder).values()) == {1}, "a trial was taken from a living worker"
    assert_ended_once(url, "faults", trials=3, epochs=4)


@pytest.mark.parametrize("clock", each_clock("a day ahead"))
def test_what_a_dead_worker_with_another_clock_held_is_handed_out(
    clock: str, folder: Path, store_url: str, cache: Path
) -> None:
    here = surroundings(store_url, cache, SELECTOR_LEASE_SECONDS="3")
    far = replace(wrong(here, clock), host="west")
    dead = Program(*RUN, folder=folder, surroundings=far)
    wait_until(lambda: epochs_run(folder).total() >= 1, dead)
    dead.kill()
    held = states(store_url, "faults").count("running")
    again = Program(*RUN, folder=folder, surroundings=here)
    assert again.wait() == 0, again.printed
    assert held == 1, "it did not die in the middle of a trial"
    assert_ended_once(store_url, "faults", trials=3, epochs=4)
