"""Firings in processes of their own, schedulers that are killed, databases that go away."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import wait
from pathlib import Path

import psutil
import pytest

from selector.errors import StoreSilentError
from selector.events import Event, ScheduleNote, TrialNote
from selector.records import Outcome
from selector.service.schedule.child import Fire
from selector.service.schedule.files import StudyFiles
from selector.service.schedule.process import FiringProcess, launcher
from selector.service.schedule.scheduler import Scheduler
from selector.store import Store, engine
from tests.search.test_outages import Server
from tests.service.schedule import fires
from tests.service.schedule.conftest import Bench, WriteStudy

ROOT = Path(__file__).parents[3]
BOUND_SECONDS = 120.0
STORE = "sqlite:///selector.db"


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.01)


def fired(fire: Fire, seen: list[Event]) -> FiringProcess:
    return FiringProcess(fire, STORE, Path("studies/nightly.yaml"), seen.append)


def ended(process: FiringProcess) -> Outcome:
    limit = time.monotonic() + BOUND_SECONDS
    while (outcome := process.take_in()) is None:
        assert time.monotonic() < limit
        wait(list(process.pipes), timeout=0.1)
    assert process.take_in() == outcome  # asked again, it says the same
    return outcome


def test_events_and_printed_lines_of_a_firing_arrive_and_so_does_its_outcome() -> None:
    seen: list[Event] = []
    outcome = ended(fired(fires.talks, seen))
    assert outcome == Outcome(exit_code=0, line=f"nightly.yaml on {STORE}")
    assert TrialNote(number=3, text="goes on") in seen
    printed = [event.text for event in seen if isinstance(event, ScheduleNote)]
    assert printed == ["a line", "an unfinished line\\x1b[31mred"]


@pytest.mark.parametrize(
    ("fire", "outcome"),
    [
        (fires.conflicts, Outcome(exit_code=3, line="the data changed")),
        (fires.breaks, Outcome(exit_code=1, line="ValueError: a bug")),
        (fires.is_killed, Outcome(exit_code=137, line="was killed by SIGKILL")),
    ],
)
def test_a_firing_that_fails_ends_with_its_exit_code_and_one_line(
    fire: Fire, outcome: Outcome
) -> None:
    assert ended(fired(fire, [])) == outcome


def test_a_scheduler_outlives_a_firing_that_is_killed(
    store: Store, write_study: WriteStudy, tmp_path: Path
) -> None:
    write_study("killed", cron="* * * * *")
    launch = launcher(fires.is_killed, store=store.url)
    scheduler = Scheduler(
        store,
        StudyFiles([tmp_path / "studies"]),
        launch,
        watch=lambda study, event: None,
        lease_seconds=180,
    )
    (outcome,) = scheduler.once(patience_seconds=BOUND_SECONDS)
    assert outcome.exit_code == 137
    row = store.schedules.firings()[-1]  # another minute may have come meanwhile
    assert (row.state, row.exit_code) == ("ended", 137)


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.service.schedule.scheduler_process", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def test_a_scheduler_that_is_killed_midway_is_replaced_by_another(
    store_url: str, write_study: WriteStudy, tmp_path: Path
) -> None:
    folder = tmp_path / "studies"
    # Due now, and not again while the test runs.
    minute, hour = time.gmtime().tm_min, time.gmtime().tm_hour
    text = write_study(cron=f"{minute} {hour} * * *").read_text()
    (folder / "nightly.yaml").write_text(text.replace("Europe/Berlin", "UTC"))
    with process("serve", store_url, str(folder)) as first:
        until(lambda: list(folder.glob("began-*")))
        with process("serve", store_url, str(folder)), Store.open(store_url) as store:
            first.send_signal(signal.SIGKILL)
            first.wait(timeout=BOUND_SECONDS)
            # Its study stops by itself, and runs again under the other.
            until(lambda: list(folder.glob("stopped-*")))
            until(lambda: len(list(folder.glob("began-*"))) == 2)
            (folder / "go").touch()
            until(lambda: store.schedules.firings()[0].state == "ended")
            (row,) = store.schedules.firings()
    assert (row.exit_code, row.line, row.takeovers) == (0, "done", 1)
    assert row.pid != first.pid


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_scheduler_that_is_stopped_leaves_no_process_and_a_firing_to_resume(
    tmp_path: Path, write_study: WriteStudy, signum: int, code: int
) -> None:
    folder, url = tmp_path / "studies", f"sqlite:///{tmp_path / 'selector.db'}"
    write_study(cron="* * * * *")
    with process("serve", url, str(folder)) as served:
        until(lambda: list(folder.glob("began-*")))
        pid = int(next(folder.glob("began-*")).name.removeprefix("began-"))
        if signum == signal.SIGINT:  # a terminal sends it to all of them
            os.killpg(served.pid, signum)
        else:
            served.send_signal(signum)
        served.wait(timeout=BOUND_SECONDS)
    assert (folder / f"stopped-{pid}").exists()
    assert not psutil.pid_exists(pid)
    with Store.open(url) as store:
        waiting = [row for row in store.schedules.firings() if row.state == "waiting"]
        assert [row.started_at is not None for row in waiting] == [True]


@pytest.mark.storm
def test_schedulers_in_several_processes_fire_each_due_time_once(
    store_url: str, write_study: WriteStudy, tmp_path: Path
) -> None:
    write_study()
    words = ("race", store_url, str(tmp_path / "studies"))
    with process(*words) as one, process(*words) as two, process(*words) as three:
        racers = (one, two, three)
        assert answers(racers) == ["ready"] * 3
        for night in range(2, 22):
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(f"2026-06-{night:02} 02:00:01\n")
                racer.stdin.flush()
            assert sorted(answers(racers)) == ["-", "-", "fired"]
    with Store.open(store_url) as store:
        rows = store.schedules.firings(limit=100)
    assert [(row.state, row.missed) for row in rows] == [("ended", 0)] * 20


def answers(racers: Sequence[subprocess.Popen[str]]) -> list[str]:
    """The next line of each."""
    return [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]


@contextmanager
def locked(file: Path) -> Iterator[None]:
    foreign = sqlite3.connect(file, isolation_level=None, timeout=BOUND_SECONDS)
    foreign.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        foreign.execute("ROLLBACK")
        foreign.close()


def outlives_outage(one: Bench, outage: Callable[[], AbstractContextManager[None]]) -> None:
    """Fire, let the database go away and the firing end meanwhile, and look again."""
    one.look("2026-06-02 02:00:01")
    with outage():
        assert isinstance(one.scheduler.look(), StoreSilentError)
        one.end()
        assert isinstance(one.scheduler.look(), StoreSilentError)
        assert not one.fired[0].stopped
    until(lambda: one.scheduler.look() is None)
    assert one.fates() == ["06-02 02:00 ended"]
    # Said once each, however often it was tried.
    assert one.said.count("StoreSilent") == one.said.count("StoreAnswers") == 1


def test_a_sqlite_store_that_is_locked_for_a_while_is_waited_for(
    tmp_path: Path, write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study()
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0)
    file = tmp_path / "selector.db"
    with Store.open(f"sqlite:///{file}") as store:
        one = Bench(store, tmp_path / "studies", "2026-06-02 02:00:01")
        outlives_outage(one, lambda: locked(file))


def test_a_postgres_server_that_stops_for_a_while_is_waited_for(
    tmp_path: Path, write_study: WriteStudy
) -> None:
    write_study()
    server = Server()
    try:
        with Store.open(server.url) as store:
            one = Bench(store, tmp_path / "studies", "2026-06-02 02:00:01")
            outlives_outage(one, server.stopped)
    finally:
        server.remove()
