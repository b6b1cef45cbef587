"""What every executor promises: seats, events, deaths and stops, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from selector import executors
from selector.errors import ConflictError, UnavailableError, UnknownNameError
from selector.events import EpochEnded, Event, WorkerNote
from selector.executors import base
from selector.executors.base import RESTARTS, Executor, Worker
from selector.records import Seat
from tests.executors import workers

PATIENCE_SECONDS = 60.0


@pytest.fixture(params=executors.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each member of the family, with what it needs at hand."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return str(request.param)


@pytest.fixture
def executor(name: str) -> Executor:
    """Each member of the family."""
    return executors.load(name)


def seats(count: int) -> list[Seat]:
    return [Seat(number=n, device="cpu", threads=1) for n in range(count)]


def run(executor: Executor, worker: Worker[object], count: int) -> tuple[object, list[Event]]:
    """The results and all events."""
    events: list[Event] = []
    return executor.run(worker, seats(count), observe=events.append), events


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, WorkerNote)]


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.02)


def pids(folder: Path) -> list[int]:
    return [int(path.read_text()) for path in folder.glob("*.began")]


def test_every_seat_has_a_process_of_its_own(executor: Executor) -> None:
    results, events = run(executor, workers.says_where_it_is, 3)

    assert isinstance(results, tuple)
    assert [seat for seat, _ in results] == seats(3)
    assert len({pid for _, pid in results} | {os.getpid()}) == 4
    assert events == []


def test_events_of_a_worker_arrive_in_order_and_in_the_calling_thread(executor: Executor) -> None:
    seen: dict[int, list[int]] = {0: [], 1: []}
    threads = set()

    def observe(event: Event) -> None:
        assert isinstance(event, EpochEnded)
        seen[event.number].append(event.epoch)
        threads.add(threading.current_thread())

    executor.run(workers.trains, seats(2), observe=observe)

    assert seen == {0: list(range(1, 21)), 1: list(range(1, 21))}
    assert threads == {threading.current_thread()}


def test_what_workers_print_comes_as_notes_and_never_to_the_terminal(
    executor: Executor, capfd: pytest.CaptureFixture[str]
) -> None:
    _, events = run(executor, workers.prints, 1)

    assert sorted(notes(events)) == ["100%", "from C, �", "to standard output"]
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_prints_more_than_a_pipe_holds_goes_on(executor: Executor) -> None:
    results, events = run(executor, workers.prints_much, 1)

    assert results == ("done",)
    assert notes(events) == ["x" * 100] * 5000


def test_a_killed_worker_is_started_again(executor: Executor, tmp_path: Path) -> None:
    results, events = run(executor, partial(workers.dies_once, tmp_path), 2)

    assert results == ("done 0", "done 1")
    assert events == [WorkerNote(worker=1, text="was killed by SIGKILL; started again.")]


def test_a_worker_that_keeps_dying_is_given_up_and_the_others_go_on(executor: Executor) -> None:
    results, events = run(executor, workers.dies, 2)

    assert results == ("done",)
    assert notes(events) == ["died with exit code 7; started again."] * RESTARTS + [
        f"died with exit code 7; given up after {RESTARTS + 1} times in a row."
    ]


def test_without_any_worker_left_the_run_fails_and_says_why(executor: Executor) -> None:
    events: list[Event] = []

    with pytest.raises(UnavailableError, match="the last one died with exit code 1"):
        executor.run(workers.breaks, seats(1), observe=events.append)

    assert notes(events).count("ZeroDivisionError: a mistake in the program") == RESTARTS + 1


def test_deaths_are_forgiven_after_a_trial(executor: Executor, tmp_path: Path) -> None:
    lives = RESTARTS + 2

    results, _ = run(executor, partial(workers.dies_after_each_trial, tmp_path, lives), 1)

    assert results == ("done",)


def test_an_error_of_one_worker_stops_the_others_and_is_raised(
    executor: Executor, tmp_path: Path
) -> None:
    with pytest.raises(ConflictError, match="the store disagrees"):
        run(executor, partial(workers.one_refuses, tmp_path), 2)

    assert (tmp_path / "1.stopped").exists()
    assert not psutil.pid_exists(*pids(tmp_path))


def test_an_interrupt_stops_every_worker_and_leaves_none(
    executor: Executor, tmp_path: Path
) -> None:
    begun: list[Event] = []

    def interrupt_when_both_work(event: Event) -> None:
        begun.append(event)
        if len(begun) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run(
            partial(workers.works_until_stopped, tmp_path),
            seats(2),
            observe=interrupt_when_both_work,
        )

    assert len(list(tmp_path.glob("*.stopped"))) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids(tmp_path))


def test_a_worker_that_does_not_stop_is_killed(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "GRACE_SECONDS", 0.2)

    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run(partial(workers.cannot_be_stopped, tmp_path), seats(1), observe=interrupt)

    assert not psutil.pid_exists(*pids(tmp_path))


PROGRAM = """\
import sys
from functools import partial
from pathlib import Path
from selector import executors
from selector.records import Seat
from tests.executors import workers

if __name__ == "__main__":
    seats = [Seat(number=n, device="cpu") for n in range(2)]
    worker = partial(workers.works_until_stopped, Path(sys.argv[2]))
    executors.load(sys.argv[1]).run(worker, seats, observe=lambda event: None)
"""


def test_workers_end_with_the_process_that_started_them_even_when_it_is_killed(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), name, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    until(lambda: len([path for path in tmp_path.glob("*.began") if path.read_text()]) == 2)

    parent.send_signal(signal.SIGKILL)

    parent.wait()
    until(lambda: len(list(tmp_path.glob("*.stopped"))) == 2)
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids(tmp_path)))


def test_an_unknown_executor_is_refused_with_the_menu() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'local'"):
        executors.load("locale")
