"""A scheduler whose time and whose firings are moved by the test, step by step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from selector.events import Event, Observer, ScheduleNote
from selector.records import Firing, Outcome
from selector.service.schedule.files import StudyFiles
from selector.service.schedule.scheduler import Scheduler
from selector.store import Store

BERLIN = ZoneInfo("Europe/Berlin")
LEASE_SECONDS = 180.0
STUDY = """\
name: {name}
data: {{source: "builtin:digits", limit: 200}}
metric: {{name: f1_macro, goal: maximize}}
search: {{backbone: "toy:cnn", image_size: 16}}
schedule: {{cron: "{cron}", timezone: Europe/Berlin, overlap: {overlap}, catch_up: {catch_up}}}
"""
DONE = Outcome(exit_code=0, line="done")


def at(text: str) -> dt.datetime:
    """A local time in Berlin, such as `2026-06-03 02:00`."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN)


class HandClock:
    """A clock that only the test, and waiting, moves."""

    def __init__(self, now: dt.datetime) -> None:
        self.time = now.astimezone(dt.UTC)

    def now(self) -> dt.datetime:
        return self.time

    def wait(self, seconds: float, pipes: Sequence[Connection]) -> float:
        self.time += dt.timedelta(seconds=seconds)
        return seconds

    def set(self, text: str) -> None:
        self.time = at(text).astimezone(dt.UTC)


class HandFired:
    """A firing that ends when the test says so."""

    pipes: Sequence[Connection] = ()

    def __init__(self, file: Path) -> None:
        self.file = file
        self.outcome: Outcome | None = None
        self.stopped = False

    def take_in(self) -> Outcome | None:
        return self.outcome

    def stop(self) -> None:
        self.stopped = True
        self.outcome = self.outcome or Outcome(exit_code=143, line="stopped")

    def kill(self) -> None:
        raise AssertionError("it ended when it was told to stop")


class Bench:
    """One scheduler on a store, and all that it said and fired."""

    def __init__(
        self, store: Store, folder: Path, now: str, *, limit: int = 4, lease: float = LEASE_SECONDS
    ) -> None:
        self.store, self.folder = store, folder
        self.clock = HandClock(at(now))
        self.fired: list[HandFired] = []
        self.said: list[str] = []
        self.scheduler = Scheduler(
            store,
            StudyFiles([folder]),
            self._launch,
            watch=self._watch,
            lease_seconds=lease,
            limit=limit,
            clock=self.clock,
        )

    def look(self, now: str) -> None:
        """Look at a time of the test's choice."""
        self.clock.set(now)
        assert self.scheduler.look() is None

    def end(self, outcome: Outcome = DONE) -> None:
        """Let the latest firing end; the next look records it."""
        self.fired[-1].outcome = outcome

    def firings(self) -> list[Firing]:
        """All firings of the store, the earliest first."""
        return list(reversed(self.store.schedules.firings()))

    def fates(self) -> list[str]:
        """Due time in Berlin and state of each firing."""
        return [f"{f.due.astimezone(BERLIN):%m-%d %H:%M} {f.state}" for f in self.firings()]

    def _launch(self, file: Path, observe: Observer) -> HandFired:
        self.fired.append(HandFired(file))
        return self.fired[-1]

    def _watch(self, study: str, event: Event) -> None:
        text = event.text if isinstance(event, ScheduleNote) else type(event).__name__
        self.said.append(f"{study}: {text}" if study else text)


WriteStudy = Callable[..., Path]
MakeBench = Callable[..., Bench]


@pytest.fixture
def write_study(tmp_path: Path) -> WriteStudy:
    """Writes a study file that is due every night at 02:00 in Berlin, or as `cron` says."""
    folder = tmp_path / "studies"
    folder.mkdir()

    def write(
        name: str = "nightly",
        *,
        cron: str = "0 2 * * *",
        overlap: str = "skip",
        catch_up: str = "once",
    ) -> Path:
        file = folder / f"{name}.yaml"
        text = STUDY.format(name=name, cron=cron, overlap=overlap, catch_up=catch_up)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> MakeBench:
    """Makes a scheduler of the folder that `write_study` writes to, beside earlier ones."""

    def make(now: str, **options: float) -> Bench:
        return Bench(store, tmp_path / "studies", now, **options)  # type: ignore[arg-type]

    return make
