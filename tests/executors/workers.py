"""Workers for the tests of executors: functions that a process of its own can import quickly."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

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
