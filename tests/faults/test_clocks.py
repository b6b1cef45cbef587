"""Clocks and time zones that are set wrong take no trial from the living and keep none."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.conftest import surroundings
from tests.faults.program import Program, Surroundings, epochs_run, wait_until
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


@pytest.mark.parametrize("clock", CLOCKS)
def test_workers_with_other_clocks_leave_each_other_their_trials(
    clock: str, folder: Path, east: Surroundings
) -> None:
    west = replace(wrong(east, clock), host="west")  # nobody sees there who lives here
    programs = [Program(*RUN, folder=folder, surroundings=each) for each in (east, west)]
    codes = [program.wait() for program in programs]
    printed = "\n".join(program.printed for program in programs)
    assert codes == [0, 0] and "Traceback" not in printed, printed
    assert "lost" not in printed, printed
    assert set(epochs_run(folder).values()) == {1}, "a trial was taken from a living worker"
    assert_ended_once(east.environment["SELECTOR_STORE"], "faults", trials=3, epochs=4)


@pytest.mark.parametrize("clock", CLOCKS)
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
    assert held <= 1
    assert_ended_once(store_url, "faults", trials=3, epochs=4)
