"""Workers that are killed again and again lose no trial, double none and repeat next to nothing."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.program import Program, Surroundings, epochs_run, wait_until
from tests.faults.records import assert_ended_once, assert_files_are_there

LONGEST_PAUSE_SECONDS = 0.15  # about two epochs: kills fall anywhere within a trial


class Crew:
    """Workers of one study, each in a process of its own; whoever dies is replaced."""

    def __init__(self, size: int, folder: Path, here: Surroundings, *sets: str) -> None:
        overrides = [word for each in sets for word in ("--set", each)]
        self._words = ("run", "study.yaml", "-q", *overrides)
        self._folder, self._here = folder, here
        self.everyone = [self._start() for _ in range(size)]

    def kill_one(self, choice: random.Random) -> None:
        """Kill one that lives, and start another."""
        victim = choice.choice([each for each in self.everyone if each.lives])
        victim.kill()
        self.everyone.append(self._start())

    def finish(self, *, killed: int) -> None:
        """Wait for all; those that were not killed end well, and none with a traceback."""
        codes = sorted(each.wait() for each in self.everyone)
        printed = "\n".join(each.printed for each in self.everyone)
        assert codes == [0] * (len(codes) - killed) + [137] * killed, printed
        assert "Traceback" not in printed, printed

    def _start(self) -> Program:
        return Program(*self._words, folder=self._folder, surroundings=self._here)


def storm(
    folder: Path,
    here: Surroundings,
    *,
    seed: int,
    workers: int,
    trials: int,
    epochs: int,
    kills: int,
) -> None:
    """Kill at random moments until there were enough; then everything must be there, once."""
    choice = random.Random(seed)
    crew = Crew(workers, folder, here, f"budget.trials={trials}", f"budget.epochs={epochs}")
    # The last tenth is left to the survivors, so that every kill meets somebody at work.
    for after in sorted(choice.sample(range(1, trials * epochs * 9 // 10), kills)):
        wait_until(lambda after=after: epochs_run(folder).total() >= after, *crew.everyone)
        time.sleep(choice.uniform(0, LONGEST_PAUSE_SECONDS))
        crew.kill_one(choice)
    crew.finish(killed=kills)
    url = here.environment["SELECTOR_STORE"]
    assert_ended_once(url, "faults", trials=trials, epochs=epochs)
    assert_files_are_there(url, folder / "selector-artifacts")
    run = epochs_run(folder)
    assert run.keys() == {(n, e) for n in range(trials) for e in range(1, epochs + 1)}
    again = run.total() - trials * epochs
    assert again <= kills, f"{again} epochs were trained again after {kills} kills"
    # A worker that is killed between the end of a trial and its last tidying leaves a folder to gc.
    left = list((folder / "selector-artifacts/faults").glob("resume/*"))
    assert len(left) <= kills


def test_killed_workers_finish_every_trial_once(folder: Path, here: Surroundings) -> None:
    storm(folder, here, seed=0, workers=2, trials=4, epochs=3, kills=2)


@pytest.mark.storm
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_kills_of_four_workers_cost_at_most_ten_epochs(
    seed: int, folder: Path, here: Surroundings
) -> None:
    storm(folder, here, seed=seed, workers=4, trials=24, epochs=8, kills=10)
