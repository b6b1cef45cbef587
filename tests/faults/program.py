"""The product's own command line in processes of its own, which are killed and stopped for real.

A server that has imported everything forks the processes, so that a storm of them costs what they
do and not what importing torch costs. Within one nothing of the product is replaced: a process can
be told at which call of which function a signal hits it, and what it sees of the machine.
"""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

FILLER = "filler"  # the file that takes what room there is
PATIENCE_SECONDS = 240.0  # of a test with a process whose machine is busy

_fork = multiprocessing.get_context("forkserver")
# Also what a run imports when it first needs it, which takes longer than these studies.
_PRELOADED = (
    *("selector.run", "selector.cli.app", "selector.reporting", "selector.backbones.toy"),
    *("torch._dynamo", "torch._inductor", "sklearn.datasets", "sklearn.metrics", "pandas"),
    *("psycopg", "scipy.stats", "timm"),
)
_fork.set_forkserver_preload(list(_PRELOADED))


@dataclass(frozen=True, slots=True)
class Strike:
    """A signal that a process sends to itself before, or after, the n-th call of a function.

    `function` is `module:qualified name`; a built-in one, such as `posix:fsync`, counts as well.
    Or the disk is full from there on: that of the folder `fills`, or for every file that would
    become larger than `limits` is then.
    """

    function: str
    call: int = 1
    after: bool = False
    signal: int = signal.SIGKILL
    fills: Path | None = None
    limits: Path | None = None

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{when} call {self.call} of {self.function.partition(':')[2]}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process sees: variables, the name of its machine, and how wrong its clock is set."""

    environment: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    clock_seconds: float = 0.0


_started: list[Program] = []


class Program:
    """One command in a process of its own, started in `folder`, which keeps what it printed."""

    def __init__(
        self,
        *words: object,
        folder: Path,
        surroundings: Surroundings | None = None,
        strike: Strike | None = None,
        record: Path | None = None,
    ) -> None:
        number = len(list(folder.glob("output-*")))
        self._output = folder / f"output-{number}"
        self._output.touch()
        self._struck = folder / f"struck-{number}"
        self.process = _fork.Process(
            target=_main,
            args=(
                tuple(str(word) for word in words),
                folder,
                self._output,
                surroundings or Surroundings(),
                (strike, self._struck) if strike else None,
                record,
            ),
        )
        self.process.start()
        _started.append(self)

    @property
    def printed(self) -> str:
        """What it has printed so far, on standard output and standard error."""
        return self._output.read_text()

    @property
    def struck_at(self) -> float | None:
        """The monotonic time at which the strike hit it; None where it never came to that call."""
        return float(self._struck.read_text()) if self._struck.exists() else None

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.is_alive()

    def wait(self) -> int:
        """Its exit code, when it has ended: as a shell reports it, so 137 after SIGKILL."""
        self.process.join(PATIENCE_SECONDS)
        if self.process.is_alive():
            self.kill()
            raise AssertionError(f"did not end; it printed\n{self.printed}")
        code = self.process.exitcode
        assert code is not None
        return 128 - code if code < 0 else code

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.process.kill()
        self.process.join()


def kill_what_is_left() -> None:
    """End every program that a test left behind, which the end of the tests would wait for."""
    while _started:
        program = _started.pop()
        if program.lives:
            program.kill()


def wait_until(condition: Callable[[], bool], *programs: Program) -> None:
    """Until something holds; fails with what the programs printed where it never does."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("\n".join(program.printed for program in programs))
        time.sleep(0.01)


def epochs_run(folder: Path) -> Counter[tuple[int, int]]:
    """How often the processes of a folder trained which (trial, epoch) to its end."""
    return Counter((int(number), int(epoch)) for number, epoch, _ in _epoch_lines(folder))


def epochs_after(folder: Path, moment: float) -> int:
    """How many epochs the processes of a folder trained to their end after a monotonic time."""
    return sum(float(when) > moment for _, _, when in _epoch_lines(folder))


def _epoch_lines(folder: Path) -> list[list[str]]:
    path = folder / "epochs.log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def _main(
    words: tuple[str, ...],
    folder: Path,
    output: Path,
    surroundings: Surroundings,
    strike: tuple[Strike, Path] | None,
    record: Path | None,
) -> None:
    os.chdir(folder)
    # Of the tests that this process was forked beside nothing is known here.
    for name in [name for name in os.environ if name.startswith("SELECTOR_")]:
        del os.environ[name]
    os.environ.update(surroundings.environment)
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for printed in (1, 2):
        os.dup2(descriptor, printed)
    from selector.cli import main

    _log_epochs(folder / "epochs.log")
    _see(surroundings)
    if strike is not None:
        sys.setprofile(_striking(*strike))
    if record is None:
        main(list(words))
        return
    calls: dict[str, int] = {}
    sys.setprofile(_counting(calls))
    try:
        main(list(words))
    finally:
        sys.setprofile(None)
        record.write_text(json.dumps(calls))


def _log_epochs(log: Path) -> None:
    """Have every epoch that ended leave a line, whatever becomes of the process."""
    from selector.search import objective

    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ended = objective.EpochEnded

    def logged(**values: Any) -> Any:
        line = f"{values['number']} {values['epoch']} {time.monotonic()}\n"
        os.write(descriptor, line.encode())
        return ended(**values)

    objective.EpochEnded = logged  # type: ignore[assignment, misc]


def _see(surroundings: Surroundings) -> None:
    """Show this process another name of the machine, or another time of the day."""
    time.tzset()
    if surroundings.host is not None:
        host = surroundings.host
        socket.gethostname = lambda: host
    offset = surroundings.clock_seconds
    if offset:
        import psutil

        now, boot = time.time, psutil._pslinux.boot_time

        class Moved(dt.datetime):
            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
                return dt.datetime.fromtimestamp(now() + offset, tz)

        time.time = lambda: now() + offset
        psutil._pslinux.boot_time = lambda: boot() + offset
        for name, module in list(sys.modules.items()):
            if name.startswith("selector.") and getattr(module, "dt", None) is dt:
                module.dt = _Calendar(Moved)  # type: ignore[attr-defined]


class _Calendar:
    """The module `datetime` on a machine whose clock is wrong."""

    def __init__(self, moved: type[dt.datetime]) -> None:
        self.datetime = moved

    def __getattr__(self, name: str) -> Any:
        return getattr(dt, name)


def _striking(strike: Strike, struck: Path) -> Callable[[FrameType, str, Any], None]:
    module, _, name = strike.function.partition(":")
    of_python, of_c = ("return", "c_return") if strike.after else ("call", "c_call")
    calls = 0

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        if event == of_python:
            code = frame.f_code
            hit = code.co_qualname == name and frame.f_globals.get("__name__") == module
        elif event == of_c:
            hit = argument.__qualname__ == name and argument.__module__ == module
        else:
            return
        if not hit:
            return
        calls += 1
        if calls == strike.call:
            sys.setprofile(None)
            struck.write_text(str(time.monotonic()))
            _hit(strike)

    return hook


def _hit(strike: Strike) -> None:
    if strike.fills is not None:
        with suppress(OSError), (strike.fills / FILLER).open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    elif strike.limits is not None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (strike.limits.stat().st_size, hard))
    else:
        os.kill(os.getpid(), strike.signal)


def _counting(calls: dict[str, int]) -> Callable[[FrameType, str, Any], None]:
    """Counts the calls of the product's functions, in the order in which each came first."""

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            if module.startswith("selector."):
                name = f"{module}:{frame.f_code.co_qualname}"
                calls[name] = calls.get(name, 0) + 1

    return hook
