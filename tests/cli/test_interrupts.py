"""A run that is stopped from outside loses nothing."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from selector.records import TrialRow
from selector.store import Store
from tests.cli.conftest import Command, start

_LONGER = ("--set", "budget.trials=6", "--set", "budget.epochs=3")


def _stop_after_first_trial(process: subprocess.Popen[str], signum: int) -> list[str]:
    """Send the signal when the first trial has ended; gives the lines of standard error after."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("trial "):
            process.send_signal(signum)
            break
    _, rest = process.communicate(timeout=120)
    return rest.splitlines()


def _rows(place: Path, file: str = "selector.db") -> tuple[TrialRow, ...]:
    with Store.open(f"sqlite:///{place / file}") as store:
        return store.trials("tiny")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_continues_to_exactly_its_budget(
    selector: Command, place: Path, cache: Path, signum: int, code: int
) -> None:
    environment = {"SELECTOR_CACHE": str(cache)}
    process = start("run", "study.yaml", *_LONGER, cwd=place, environment=environment)

    rest = _stop_after_first_trial(process, signum)

    assert process.returncode == code, rest
    said = [line for line in rest if not line.startswith("trial ")]
    assert said == ["Stopped. Nothing is lost; the same command continues study 'tiny'."]
    before = {row.number: row for row in _rows(place) if row.state == "complete"}
    assert 1 <= len(before) < 6

    again = selector("run", "study.yaml", *_LONGER)

    assert again.exit_code == 0, again.stderr
    rows = _rows(place)
    assert [row.number for row in rows] == list(range(6))
    assert {row.state for row in rows} == {"complete"}
    for row in rows:
        assert row.number not in before or row == before[row.number]

    selector("run", "study.yaml", *_LONGER, "--store", f"sqlite:///{place / 'whole.db'}")
    never_stopped = _rows(place, "whole.db")
    assert [(row.params, row.score) for row in rows] == [
        (row.params, row.score) for row in never_stopped
    ]
