"""A disk that is full while something is written: the study pauses, and goes on with room again."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from selector.records import RunFailure
from selector.store import Store
from tests.faults.conftest import STUDY, surroundings
from tests.faults.program import FILLER, Program, Strike, Surroundings, epochs_run
from tests.faults.records import assert_ended_once, assert_files_are_there

TWO = STUDY.replace("trials: 24, epochs: 8", "trials: 2, epochs: 3")
SAVE = "selector.training.checkpoints:save_checkpoint"
REPORT = "optuna.trial._trial:Trial.report"


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A disk of eight megabytes."""
    (folder / "study.yaml").write_text(TWO)
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no program `mount`")
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def run_full(folder: Path, here: Surroundings, strike: Strike, reason: str) -> None:
    """The disk becomes full: the reason in one line, no budget spent, nothing torn."""
    full = Program("run", "study.yaml", folder=folder, surroundings=here, strike=strike)
    assert full.wait() == 4, full.printed
    assert full.struck_at is not None
    (said,) = (line for line in full.printed.splitlines() if line.startswith("paused: "))
    assert said.startswith("paused: the disk is full: free space; trial 0 waits"), said
    assert reason in full.printed and "Traceback" not in full.printed, full.printed
    with Store.open(here.environment["SELECTOR_STORE"]) as store:
        counts = store.counts("faults")
        (run,) = store.runs("faults")
    assert (counts.finished, counts.failed) == (0, 0)
    assert run.status == "failed" and run.failure is not None
    assert (run.failure.cause, run.failure.trial) == ("disk_full", 0)
    assert (run.failure.epoch or 0) >= 1 and reason in run.failure.message
    assert_shown(folder, here, run.failure)


def assert_shown(folder: Path, here: Surroundings, failure: RunFailure) -> None:
    """The study says that it is paused, why, what to do, and at which trial."""
    text = Program("show", "faults", folder=folder, surroundings=here)
    document = Program("show", "faults", "--format", "json", folder=folder, surroundings=here)
    assert (text.wait(), document.wait()) == (0, 0), text.printed + document.printed
    for word in ("paused", "free space", "disk_full", "Runs that ended early"):
        assert word in text.printed, text.printed
    shown = json.loads(document.printed)
    assert shown["paused"].startswith("the disk is full: free space; trial 0 waits")
    assert shown["runs"][-1]["failure"] == dataclasses.asdict(failure)


def assert_goes_on(folder: Path, here: Surroundings, artifacts: Path, *, again: int) -> None:
    """With room again the same command ends the study; at most `again` epochs ran twice."""
    program = Program("run", "study.yaml", folder=folder, surroundings=here)
    assert program.wait() == 0, program.printed
    assert "starts over" not in program.printed and "goes on in epoch" in program.printed
    assert_ended_once(here.environment["SELECTOR_STORE"], "faults", trials=2, epochs=3)
    assert_files_are_there(here.environment["SELECTOR_STORE"], artifacts)
    assert epochs_run(folder).total() - 6 <= again


# 1 and 2 are checkpoints of the middle of trial 0, 3 is the one that it leaves.
@pytest.mark.parametrize("call", [2, 3], ids=["checkpoint", "artifact"])
def test_a_full_disk_keeps_the_last_good_checkpoint(
    call: int, disk: Path, folder: Path, store_url: str, cache: Path
) -> None:
    here = surroundings(store_url, cache, SELECTOR_ARTIFACTS=str(disk))
    run_full(folder, here, Strike(SAVE, call, fills=disk), "cannot be written: No space left")
    assert not list(disk.rglob("*.tmp")), "something torn is left"
    (disk / FILLER).unlink()
    assert_goes_on(folder, here, disk, again=1)


def test_a_full_disk_under_the_database_leaves_it_sound(
    disk: Path, folder: Path, cache: Path
) -> None:
    here = surroundings(f"sqlite:///{disk / 'selector.db'}", cache)
    full = Strike(REPORT, 2, fills=disk)
    program = Program("run", "study.yaml", "-q", folder=folder, surroundings=here, strike=full)
    assert program.wait() == 4, program.printed
    assert "full" in program.printed and "Traceback" not in program.printed, program.printed
    (disk / FILLER).unlink()
    assert_sound(disk / "selector.db")
    assert_goes_on(folder, here, folder / "selector-artifacts", again=1)


def test_a_database_that_may_not_grow_is_left_sound(folder: Path, cache: Path) -> None:
    """As by a quota; here by a limit on the size of files."""
    (folder / "study.yaml").write_text(TWO)
    file = folder / "selector.db"
    here = surroundings(f"sqlite:///{file}", cache)
    # The row of a candidate with its predictions is larger than the room left in the file.
    full = Strike("selector.store.trials:finish_trial", 1, limits=file)
    program = Program("run", "study.yaml", "-q", folder=folder, surroundings=here, strike=full)
    assert program.wait() == 4, program.printed
    assert "Traceback" not in program.printed, program.printed
    assert_sound(file)
    assert_goes_on(folder, here, folder / "selector-artifacts", again=1)


def assert_sound(file: Path) -> None:
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute(
            "SELECT count(*) FROM selector_trials WHERE state IN ('complete', 'failed')"
        ).fetchone() == (0,)
    finally:
        connection.close()
