"""Each stated behaviour of the scheduler, on SQLite and PostgreSQL, in time that the test moves."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from selector.errors import InterruptedRun, StoreSilentError
from selector.records import Outcome
from selector.store import Store
from tests.service.schedule.conftest import DONE, MakeBench, WriteStudy


def test_a_study_is_fired_when_it_is_due_and_every_firing_is_a_row(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    file = write_study()
    one = bench("2026-06-01 12:00")
    one.look("2026-06-01 12:00")
    one.look("2026-06-02 01:59:59")
    assert one.fired == []
    one.look("2026-06-02 02:00:01")
    assert [fired.file for fired in one.fired] == [file]
    one.look("2026-06-02 02:00:16")
    assert len(one.fired) == 1
    one.end(Outcome(exit_code=3, line="the data changed"))
    one.look("2026-06-02 02:20:01")
    (row,) = one.firings()
    assert (row.state, row.exit_code, row.line) == ("ended", 3, "the data changed")
    assert row.started_at is not None and row.ended_at is not None
    assert row.ended_at - row.started_at == dt.timedelta(minutes=20)
    assert row.host and row.pid
    assert one.said == [
        "nightly: next due 2026-06-02 02:00 CEST (0 2 * * *, Europe/Berlin)",
        "nightly: due 2026-06-02 02:00 CEST: started",
        "nightly: due 2026-06-02 02:00 CEST: ended with exit code 3 after 20m00s: the data changed",
    ]


def test_it_sleeps_until_the_next_due_time_and_no_longer_than_a_look_may_wait(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study()
    one = bench("2026-06-02 01:59:40")
    waits = []
    while not one.fired:
        before = one.clock.time
        one.scheduler.look()
        one.scheduler.rest()
        waits.append((one.clock.time - before).total_seconds())
    assert waits == [15, 5, 15]


@pytest.mark.parametrize(
    ("cron", "before", "after", "due"),
    [
        ("30 2 * * *", "2026-03-29 01:59", "2026-03-29 04:00", ["03-29 03:00 ended"]),
        ("30 2 * * *", "2026-10-25 01:59", "2026-10-25 04:00", ["10-25 02:30 ended"]),
    ],
)
def test_a_night_in_which_the_clocks_change_has_one_firing(
    write_study: WriteStudy, bench: MakeBench, cron: str, before: str, after: str, due: list[str]
) -> None:
    write_study(cron=cron)
    one = bench(before)
    one.look(before)
    end = dt.datetime.fromisoformat(after)
    while one.clock.time.replace(tzinfo=None) < end:
        one.clock.time += dt.timedelta(minutes=10)
        one.scheduler.look()
        if one.fired:
            one.end()
    assert one.fates() == due


@pytest.mark.parametrize(
    ("awake", "fates", "missed"),
    [("2026-06-02 09:00", "06-02 02:00", 0), ("2026-06-08 09:00", "06-08 02:00", 6)],
)
def test_a_machine_asleep_over_due_times_catches_up_once(
    write_study: WriteStudy, bench: MakeBench, awake: str, fates: str, missed: int
) -> None:
    write_study(catch_up="once")
    one = bench("2026-06-01 12:00")
    one.look("2026-06-01 12:00")
    one.look(awake)
    assert len(one.fired) == 1
    one.end()
    one.look(awake)
    assert one.fates() == [f"{fates} ended"]
    assert [row.missed for row in one.firings()] == [missed]
    started = [line for line in one.said if "started" in line]
    assert ("also for 6 due times missed before" in started[0]) == (missed == 6)


@pytest.mark.parametrize("awake", ["2026-06-02 09:00", "2026-06-08 09:00"])
def test_a_machine_asleep_over_due_times_leaves_them_out_where_asked_to(
    write_study: WriteStudy, bench: MakeBench, awake: str
) -> None:
    write_study(catch_up="none")
    one = bench("2026-06-01 12:00")
    one.look("2026-06-01 12:00")
    one.look(awake)
    assert one.fired == []
    (row,) = one.firings()
    assert row.state == "skipped"
    assert row.line == "missed, for no scheduler was looking (catch_up: none)"
    one.look("2026-06-09 02:00:05")
    assert len(one.fired) == 1


def test_a_scheduler_that_was_off_catches_up_when_it_is_started_again(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study(cron="0 2 * * 0")
    bench("2026-06-01 12:00").look("2026-06-01 12:00")
    again = bench("2026-06-10 12:00")
    again.look("2026-06-10 12:00")
    assert again.fates() == ["06-07 02:00 running"]


def test_a_run_longer_than_the_interval_skips_what_comes_due_meanwhile(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study(cron="0 * * * *", overlap="skip")
    one = bench("2026-06-01 01:30")
    for time in ("01:30", "02:00:01", "03:00:01", "04:00:01"):
        one.look(f"2026-06-01 {time}")
    assert len(one.fired) == 1
    one.end()
    one.look("2026-06-01 04:30")
    assert len(one.fired) == 1
    one.look("2026-06-01 05:00:01")
    assert len(one.fired) == 2
    skipped = ["06-01 03:00 skipped", "06-01 04:00 skipped"]
    assert one.fates() == ["06-01 02:00 ended", *skipped, "06-01 05:00 running"]
    line = "the firing of 2026-06-01 02:00 CEST had not ended (overlap: skip)"
    assert [row.line for row in one.firings() if row.state == "skipped"] == [line, line]


def test_a_run_longer_than_the_interval_is_followed_by_one_more_where_due_times_queue(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study(cron="0 * * * *", overlap="queue", catch_up="none")
    one = bench("2026-06-01 01:30")
    for time in ("01:30", "02:00:01", "03:00:01", "04:00:01"):
        one.look(f"2026-06-01 {time}")
    assert len(one.fired) == 1
    one.end()
    one.look("2026-06-01 04:30")
    assert len(one.fired) == 2
    states = ["02:00 ended", "03:00 skipped", "04:00 running"]
    assert one.fates() == [f"06-01 {state}" for state in states]
    assert "gave way to the next due time" in (one.firings()[1].line or "")


def test_of_two_schedulers_exactly_one_fires_each_due_time(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study()
    one, two = bench("2026-06-01 12:00"), bench("2026-06-01 12:00")
    for day in range(2, 9):
        for each in (one, two) if day % 2 else (two, one):
            each.look(f"2026-06-0{day} 02:00:01")
        for each in (one, two):
            for fired in each.fired:
                fired.outcome = fired.outcome or DONE
            each.look(f"2026-06-0{day} 02:10")
    assert one.fates() == [f"06-0{day} 02:00 ended" for day in range(2, 9)]
    assert len(one.fired) + len(two.fired) == 7
    assert one.fired and two.fired


def test_a_scheduler_that_is_frozen_loses_its_firing_and_writes_nothing_more(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    file = write_study()
    frozen, other = bench("2026-06-01 12:00", lease=0.01), bench("2026-06-01 12:00", lease=0.01)
    frozen.look("2026-06-02 02:00:01")
    while not other.fired:  # the lease runs by the store's clock
        other.look("2026-06-02 02:05")
    assert "its scheduler is gone" in other.said[-1]
    file.unlink()  # so that no further lease that runs out changes hands
    frozen.look("2026-06-02 02:06")
    assert frozen.fired[0].stopped
    assert any("was taken over by another scheduler" in line for line in frozen.said)
    frozen.look("2026-06-02 02:07")
    (row,) = other.firings()
    assert (row.state, row.takeovers) == ("running", 1)
    other.end(Outcome(exit_code=0, line="by the other"))
    other.look("2026-06-02 02:08")
    assert [row.line for row in other.firings()] == ["by the other"]


def test_a_clock_set_back_fires_nothing_twice(write_study: WriteStudy, bench: MakeBench) -> None:
    write_study()
    one = bench("2026-06-01 12:00")
    one.look("2026-06-01 12:00")
    one.look("2026-06-02 02:00:01")
    one.end()
    for time in ("02:10", "01:30", "01:59", "02:00:01", "02:15"):
        one.look(f"2026-06-02 {time}")
    assert one.fates() == ["06-02 02:00 ended"]
    one.look("2026-06-03 02:00:01")
    assert len(one.fired) == 2


def test_a_clock_that_was_years_ahead_does_not_stop_the_schedule(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study()
    one = bench("2031-01-01 12:00")
    one.look("2031-01-01 12:00")
    one.look("2031-01-02 02:00:01")
    one.end()
    one.look("2026-06-01 12:00")
    one.look("2026-06-02 02:00:01")
    assert one.fates() == ["06-02 02:00 running", "01-02 02:00 ended"]


def test_a_new_schedule_counts_from_when_it_is_seen(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study("noon", cron="0 12 * * *")
    one = bench("2026-06-01 11:00")
    one.look("2026-06-01 11:00")
    write_study("early", cron="0 10 * * *")  # an hour ago
    one.look("2026-06-01 11:00:15")
    write_study("noon", cron="0 9 * * *")
    one.look("2026-06-01 12:00:05")
    assert one.fired == []
    one.look("2026-06-02 09:00:05")
    assert one.fates() == ["06-02 09:00 running"]


def test_a_scheduler_started_by_a_timer_at_the_due_time_fires_a_study_it_never_saw(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    write_study(cron="*/5 * * * *", catch_up="none")
    one = bench("2026-06-02 02:00:40")
    one.look("2026-06-02 02:00:40")
    assert [(row.missed, row.state) for row in one.firings()] == [(0, "running")]


def test_files_that_are_broken_removed_or_mended_while_serving_do_not_stop_the_others(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    broken, gone = write_study("broken"), write_study("gone")
    write_study("kept")
    one = bench("2026-06-01 12:00")
    one.look("2026-06-01 12:00")
    text = broken.read_text()
    broken.write_text(text.replace("0 2 * * *", "0 25 * * *"))
    gone.unlink()
    one.said.clear()
    for time in ("12:00:15", "12:00:30"):  # each thing is said once
        one.look(f"2026-06-01 {time}")
    assert sorted(one.said) == [
        "broken: is no longer served: its file is gone, broken or has no schedule",
        "gone: is no longer served: its file is gone, broken or has no schedule",
        f"not served: {broken}:5:12: schedule.cron: '0 25 * * *' is not a cron expression: "
        "its hour is wrong; allowed: 0 to 23.",
    ]
    one.look("2026-06-02 02:00:01")
    assert [fired.file.stem for fired in one.fired] == ["kept"]
    broken.write_text(text)
    one.look("2026-06-02 02:30")
    assert [fired.file.stem for fired in one.fired] == ["kept", "broken"]


def test_a_study_that_is_removed_while_it_runs_runs_to_its_end(
    write_study: WriteStudy, bench: MakeBench
) -> None:
    file = write_study()
    one = bench("2026-06-02 02:00:01")
    one.look("2026-06-02 02:00:01")
    file.unlink()
    one.look("2026-06-02 02:00:16")
    assert not one.fired[0].stopped
    one.end()
    one.look("2026-06-02 02:30")
    assert one.fates() == ["06-02 02:00 ended"]


def test_studies_due_at_the_same_time_take_turns(write_study: WriteStudy, bench: MakeBench) -> None:
    for name in ("a", "b", "c"):
        write_study(name, catch_up="none")
    one = bench("2026-06-02 02:00:01", limit=1)
    for time in ("02:00:01", "05:00", "08:00", "11:00"):
        one.look(f"2026-06-02 {time}")
        assert len([fired for fired in one.fired if fired.outcome is None]) <= 1
        if one.fired:
            one.end()
    one.look("2026-06-02 12:00")
    assert sorted(fired.file.stem for fired in one.fired) == ["a", "b", "c"]
    assert {row.state for row in one.firings()} == {"ended"}


def test_what_a_stopped_scheduler_ran_is_resumed_by_the_next(
    write_study: WriteStudy, bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study()
    one = bench("2026-06-02 02:00:01")

    def interrupt(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(one.clock, "wait", interrupt)
    with pytest.raises(InterruptedRun, match="Nothing is lost") as stopped:
        one.scheduler.serve()
    assert stopped.value.exit_code == 130
    assert one.fired[0].stopped
    assert one.fates() == ["06-02 02:00 waiting"]
    again = bench("2026-06-02 04:00")
    again.look("2026-06-02 04:00")
    assert again.said[-1] == "nightly: due 2026-06-02 02:00 CEST: resumed"
    again.end()
    again.look("2026-06-02 05:00")
    assert again.fates() == ["06-02 02:00 ended"]


def test_once_runs_what_is_due_each_study_once_and_gives_what_came_of_it(
    write_study: WriteStudy, bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write_study(name, cron="* * * * *")
    write_study("later", cron="0 12 * * *")
    one = bench("2026-06-02 02:00:01", limit=1)
    codes = {"a": 5, "b": 0}
    wait = one.clock.wait

    def ends_while_waited_for(seconds: float, pipes: object) -> float:
        # Longer than the interval, so that both are due again by then.
        one.clock.time += dt.timedelta(minutes=3)
        one.end(replace(DONE, exit_code=codes[one.fired[-1].file.stem]))
        return wait(seconds, ())

    monkeypatch.setattr(one.clock, "wait", ends_while_waited_for)
    outcomes = one.scheduler.once(patience_seconds=60)
    assert sorted(outcome.exit_code for outcome in outcomes) == [0, 5]
    assert len(one.fired) == 2
    # What came due after they ended is for the next call.
    assert {row.state for row in one.firings()} == {"ended", "skipped"}


def test_a_deleted_study_leaves_no_schedule_behind(
    write_study: WriteStudy, bench: MakeBench, store: Store, results: object
) -> None:
    write_study("flowers")
    one = bench("2026-06-02 02:00:01")
    one.look("2026-06-02 02:00:01")
    one.end()
    one.look("2026-06-02 02:10")
    results.fill(store)  # type: ignore[attr-defined]
    store.delete_study("flowers")
    assert store.schedules.all() == ()
    assert one.firings() == []


def test_once_gives_up_on_a_store_that_stays_away(
    write_study: WriteStudy, bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study()
    one = bench("2026-06-02 02:00:01")

    def silent() -> dt.datetime:
        raise StoreSilentError("away", reason="connection refused")

    monkeypatch.setattr(one.clock, "now", silent)
    with pytest.raises(StoreSilentError):
        one.scheduler.once(patience_seconds=0.01)
