"""Workers for the tests of executors: functions that a process of its own can import quickly."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from selector.errors import ConflictError
from selector.events import EpochEnded, Observer, TrialEnded
from selector.interrupts import Terminated
from selector.records import Seat, TrialCounts


def epoch(number: int, epoch: int) -> EpochEnded:
    return EpochEnded(number=number, epoch=epoch, epochs=9, score=0.5, best_score=0.5, seconds=0.1)


def ended(number: int) -> TrialEnded:
    return TrialEnded(
        number=number,
        backbone="toy:cnn",
        state="complete",
        score=0.5,
        best_epoch=1,
        epochs=1,
        seconds=0.1,
        failure=None,
        counts=TrialCounts(complete=1),
        best_score=0.5,
        best_trial=number,
    )


def says_where_it_is(seat: Seat, observe: Observer) -> tuple[Seat, int]:
    return seat, os.getpid()


def trains(seat: Seat, observe: Observer) -> str:
    for number in range(1, 21):
        observe(epoch(seat.number, number))
    return "done"


def prints(seat: Seat, observe: Observer) -> str:
    print("to standard output", flush=True)
    print("  7%\r 50%\r100%", file=sys.stderr)
    os.write(2, b"from C, \xff")
    return "done"


def prints_much(seat: Seat, observe: Observer) -> str:
    for _ in range(5000):
        print("x" * 100)
    return "done"


def dies_once(folder: Path, seat: Seat, observe: Observer) -> str:
    """Killed in the first life of an odd seat."""
    mark = folder / str(seat.number)
    if seat.number % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return f"done {seat.number}"


def dies(seat: Seat, observe: Observer) -> str:
    """An odd seat dies whenever it is started."""
    if seat.number % 2:
        os._exit(7)
    return "done"


def breaks(seat: Seat, observe: Observer) -> str:
    raise ZeroDivisionError("a mistake in the program")


def dies_after_each_trial(folder: Path, lives: int, seat: Seat, observe: Observer) -> str:
    """Killed `lives` times, each time after a trial."""
    number = len(list(folder.iterdir()))
    if number == lives:
        return "done"
    (folder / str(number)).touch()
    observe(ended(number))
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)
    return "unreachable"


def one_refuses(folder: Path, seat: Seat, observe: Observer) -> str:
    """Seat 0 raises once all others have begun to work; they wait to be stopped."""
    if seat.number == 0:
        while not list(folder.iterdir()):
            time.sleep(0.01)
        raise ConflictError("the store disagrees")
    return works_until_stopped(folder, seat, observe)


def works_until_stopped(folder: Path, seat: Seat, observe: Observer) -> str:
    """Leaves a file when it begins and another one when it is stopped."""
    try:
        (folder / f"{seat.number}.began").write_text(str(os.getpid()))
        observe(epoch(seat.number, 1))
        time.sleep(120)
    except Terminated:
        (folder / f"{seat.number}.stopped").touch()
        raise
    return "never"


def cannot_be_stopped(folder: Path, seat: Seat, observe: Observer) -> str:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / f"{seat.number}.began").write_text(str(os.getpid()))
    observe(epoch(seat.number, 1))
    threading.Event().wait(120)
    return "never"


def works_in_its_second_life(folder: Path, seat: Seat, observe: Observer) -> str:
    """Leaves a file with its number in each life; the first one waits for its end."""
    first = not list(folder.glob("*.life"))
    (folder / f"{os.getpid()}.life").write_text(str(os.getpid()))
    observe(epoch(seat.number, 1))
    if first:
        time.sleep(120)
    return "done"


def names_its_settings(seat: Seat, observe: Observer) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("SELECTOR_")}


def lists_open_ports(seat: Seat, observe: Observer) -> tuple[list[str], list[int]]:
    """The addresses that all processes of the program listen on that started the worker's Ray."""
    top = psutil.Process()
    while "program.py" not in " ".join(top.cmdline()):
        parent = top.parent()
        assert parent is not None
        top = parent
    family = [top, *top.children(recursive=True)]
    return listening(family), [each.pid for each in family[1:]]


def listening(family: Iterable[psutil.Process]) -> list[str]:
    """The addresses that processes listen on, each once."""
    found = set()
    for process in family:
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found.add(connection.laddr.ip.removeprefix("::ffff:"))
    return sorted(found)
