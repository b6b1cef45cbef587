"""SIGTERM anywhere in a run's life: the process ends soon, and the same command goes on.

The points are calls of the product's functions, from the reading of the study file to the printing
of the report: a run that nobody stops is recorded, and the calls are drawn from what it did.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.conftest import SMALL, surroundings
from tests.faults.program import Program, Strike, Surroundings, epochs_after, epochs_run
from tests.faults.records import (
    Left,
    assert_files_are_there,
    assert_nothing_is_open,
    left_by,
    states,
)

POINTS = 20
EXIT_SECONDS = 10.0
# With two backbones they are compared first; the decoded images are not there yet.
STUDY = SMALL.replace("toy:cnn", "[toy:cnn, bundled:mobilenet_v2]").replace(
    "limit: 100", "limit: 60"
)
OFTEN = 50  # calls of one function after which another point is as good


@dataclass(frozen=True)
class Whole:
    """A run that nobody stops: what it leaves, the calls on its way, and its epochs."""

    left: Left
    calls: Mapping[str, int]
    epochs: int


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, new_postgres_url: Callable[[], str]
) -> Callable[[str], Whole]:
    """A function that gives the run that nobody stops, on a database like that of a URL."""

    @cache
    def on(kind: str) -> Whole:
        folder = tmp_path_factory.mktemp("whole")
        url = f"sqlite:///{folder / 'selector.db'}" if kind == "sqlite" else new_postgres_url()
        program = run_in(folder, url, record=folder / "calls.json")
        assert program.wait() == 0, program.printed
        calls = json.loads((folder / "calls.json").read_text())
        return Whole(left_by(url, "faults"), calls, epochs_run(folder).total())

    return lambda url: on(url.partition(":")[0])


def run_in(folder: Path, url: str, **more: object) -> Program:
    (folder / "study.yaml").write_text(STUDY)
    here: Surroundings = surroundings(url, folder / "cache")
    return Program("run", "study.yaml", folder=folder, surroundings=here, **more)


def points(calls: Mapping[str, int], seed: int, count: int) -> list[Strike]:
    """Calls from all of a run's life: as many functions, in the order in which each came first."""
    choice, names = random.Random(seed), list(calls)
    edges = [round(len(names) * index / count) for index in range(count + 1)]
    drawn = [choice.choice(names[first:last]) for first, last in pairwise(edges)]
    return [
        Strike(name, choice.randint(1, min(calls[name], OFTEN)), signal=signal.SIGTERM)
        for name in drawn
    ]


def assert_goes_on(folder: Path, url: str, strike: Strike, whole: Whole) -> None:
    stopped = run_in(folder, url, strike=strike)
    code = stopped.wait()
    ended = time.monotonic()
    assert stopped.struck_at is not None, f"never came {strike}"
    if code == 0:
        # There was nothing left to stop, but for the end of an epoch whose steps were done.
        assert epochs_after(folder, stopped.struck_at) <= 1, "went on after the stop"
        left_by(url, "faults").assert_same(whole.left)
    else:
        assert code == 143, stopped.printed
    assert ended - stopped.struck_at < EXIT_SECONDS
    assert "Traceback" not in stopped.printed, stopped.printed
    assert "running" not in states(url, "faults")

    again = run_in(folder, url)

    assert again.wait() == 0, again.printed
    assert "Traceback" not in again.printed and "starts over" not in again.printed
    left_by(url, "faults").assert_same(whole.left)
    assert_nothing_is_open(url, "faults")
    assert_files_are_there(url, folder / "selector-artifacts")
    assert epochs_run(folder).total() - whole.epochs <= 1, "more than the epoch ran again"


def test_a_stop_anywhere_is_made_good(
    tmp_path: Path, store_url: str, undisturbed: Callable[[str], Whole]
) -> None:
    whole = undisturbed(store_url)
    assert_goes_on(tmp_path, store_url, points(whole.calls, 7, 4)[2], whole)


@pytest.mark.storm
@pytest.mark.parametrize("which", range(POINTS))
def test_a_stop_at_twenty_points_is_made_good(
    which: int, tmp_path: Path, store_url: str, undisturbed: Callable[[str], Whole]
) -> None:
    whole = undisturbed(store_url)
    assert_goes_on(tmp_path, store_url, points(whole.calls, 11, POINTS)[which], whole)
