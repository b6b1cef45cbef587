"""A process that dies at any boundary between two writes: the same command makes it good.

The boundaries are those of a trial's life in the order in which it comes to them, and those of the
finals. The study is small and trains for real; what it leaves afterwards is compared, bit by bit,
with what it leaves where nothing dies.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.conftest import SMALL, surroundings
from tests.faults.program import Program, Strike, Surroundings, epochs_run
from tests.faults.records import (
    Left,
    assert_files_are_there,
    assert_nothing_is_open,
    left_by,
)

TRIALS = "selector.store.trials"
CLAIMS = "selector.search.claims"
FILES = "selector.training.checkpoints"


def both(function: str, *calls: int) -> list[Strike]:
    """Before and after each of these calls of a function."""
    return [Strike(function, call, after) for call in calls or (1,) for after in (False, True)]


# Checkpoints 1 and 2 are of the middle of trial 0, 3 is the one that it leaves.
BOUNDARIES = {
    "plan": both("selector.search.claims:Claims._plan"),
    "claim": [
        # Optuna has committed the trial, and our row is not there yet.
        *both(f"{CLAIMS}:Claims._own", 1, 2),
        *both(f"{TRIALS}:start_trial", 1),
    ],
    "checkpoint": [
        *both(f"{FILES}:_write_durably", 1, 2, 3),
        *both("posix:fsync", 2),
        *both("posix:replace", 2, 3),
        *both("selector.data.cache:sync", 2),
    ],
    "report": [
        *both("optuna.trial._trial:Trial.report", 2),
        *both("selector.search.reports:Reports.add", 3),
    ],
    "artifact": both(f"{TRIALS}:_insert_candidate", 1, 2),
    "tell": [
        *both("selector.search.owners:tell", 1, 2),
        *both("selector.search.resuming:forget", 1),
    ],
    "finals": [
        *both("selector.store.finals:create_finals"),
        *both("optuna.study.study:Study.enqueue_trial", 3),
        *both("selector.search.finals:FinalsClaims._start", 2),
        *both(f"{TRIALS}:finish_trial", 4),
        *both("selector.store.finals:decide_finals"),
        *both("selector.store.studies:end_run"),
    ],
}
EVERY = [pytest.param(s, id=f"{part}-{s}") for part, strikes in BOUNDARIES.items() for s in strikes]
# A few in every test run; all of them in the storms.
SOME = [pytest.param(BOUNDARIES[part][-1], id=part) for part in ("claim", "checkpoint", "artifact")]


def run_in(folder: Path, here: Surroundings, strike: Strike | None = None) -> Program:
    (folder / "study.yaml").write_text(SMALL)
    return Program("run", "study.yaml", folder=folder, surroundings=here, strike=strike)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Left:
    """What the study leaves where nothing dies."""
    folder = tmp_path_factory.mktemp("undisturbed")
    url = f"sqlite:///{folder / 'selector.db'}"
    program = run_in(folder, surroundings(url, cache))
    assert program.wait() == 0, program.printed
    return left_by(url, "faults")


def assert_made_good(strike: Strike, folder: Path, here: Surroundings, undisturbed: Left) -> None:
    struck = run_in(folder, here, strike)
    code = struck.wait()
    assert struck.struck_at is not None, f"never came {strike}"
    assert code == 137, struck.printed

    again = run_in(folder, here)

    assert again.wait() == 0, again.printed
    assert "Traceback" not in again.printed and "starts over" not in again.printed
    url = here.environment["SELECTOR_STORE"]
    left_by(url, "faults").assert_same(undisturbed)
    assert_nothing_is_open(url, "faults")
    assert_files_are_there(url, folder / "selector-artifacts")
    run = epochs_run(folder)
    heats = 4  # of two finalists and two seeds; one finalist's first is the trial of the search
    assert run.total() <= 3 * (2 + heats) + 1, "more than one epoch was trained again"


@pytest.mark.parametrize("strike", SOME)
def test_a_death_between_two_writes_is_made_good(
    strike: Strike, folder: Path, here: Surroundings, undisturbed: Left
) -> None:
    assert_made_good(strike, folder, here, undisturbed)


@pytest.mark.storm
@pytest.mark.parametrize("strike", EVERY)
def test_a_death_at_every_boundary_is_made_good(
    strike: Strike, folder: Path, here: Surroundings, undisturbed: Left
) -> None:
    assert_made_good(strike, folder, here, undisturbed)
