"""Processes that begin at the same moment: one empty database, one list of waiting trials."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

import optuna
import pytest

from selector.search import pruners, storage
from selector.search.claims import Claim, Claims
from selector.spec import StudySpec
from selector.store import Store
from tests.faults.program import PATIENCE_SECONDS, Program, Surroundings, epochs_run
from tests.faults.records import assert_ended_once
from tests.search.conftest import ParseStudy, register_study, study  # noqa: F401
from tests.search.test_claims import pruned, started

_fork = multiprocessing.get_context("forkserver")


def begin_together(folder: Path, here: Surroundings, *, workers: int, trials: int) -> None:
    words = ("run", "study.yaml", "-q", "--set", f"budget.trials={trials}")
    words += ("--set", "budget.epochs=1", "--set", "search.image_size=16")
    programs = [Program(*words, folder=folder, surroundings=here) for _ in range(workers)]
    codes = [program.wait() for program in programs]
    assert codes == [0] * workers, "\n".join(program.printed for program in programs)
    assert_ended_once(here.environment["SELECTOR_STORE"], "faults", trials=trials, epochs=1)
    assert set(epochs_run(folder).values()) == {1}, "a trial ran twice"


@pytest.mark.parametrize("attempt", range(2))
def test_workers_on_an_empty_database_end_with_the_budget(
    attempt: int, folder: Path, here: Surroundings
) -> None:
    begin_together(folder, here, workers=4, trials=6)


@pytest.mark.storm
@pytest.mark.parametrize("attempt", range(5))
def test_eight_workers_on_an_empty_database_end_with_exactly_24_trials(
    attempt: int, folder: Path, here: Surroundings
) -> None:
    begin_together(folder, here, workers=8, trials=24)


def take_all(url: str, spec: StudySpec, run_id: int, taken: multiprocessing.Queue[int]) -> None:
    """Take trials until there is none, and end each at once."""
    with Store.open(url) as store, storage.opened_storage(store) as backend:
        found = optuna.load_study(
            study_name=spec.name, storage=backend, pruner=pruners.load("none").build(spec, {})
        )
        claims = Claims(store, found, spec, run_id=run_id)
        while isinstance(claim := claims.take(), Claim):
            taken.put(claim.number)
            claims.end(claim, pruned(claim.number))


def share_out(url: str, spec: StudySpec, *, waiting: int, workers: int) -> None:
    """Let workers take trials that all wait, as after a stop or `selector retry`."""
    with Store.open(url) as store, storage.opened_storage(store) as backend:
        run_id = register_study(store, spec)
        found = storage.open_study(
            backend,
            store,
            spec.name,
            goal=spec.metric.goal,
            pruner=pruners.load("none").build(spec, {}),
        )
        claims = Claims(store, found, spec, run_id=run_id)
        claims.plan()
        planned = found.get_trials(deepcopy=False)[0].system_attrs["fixed_params"]
        for number in range(waiting - len(found.get_trials(deepcopy=False))):
            found.enqueue_trial({**planned, "lr": 1e-5 * (number + 1)})
    taken: multiprocessing.Queue[int] = _fork.Queue()
    processes = [
        _fork.Process(target=take_all, args=(url, spec, run_id, taken)) for _ in range(workers)
    ]
    with started(processes):
        numbers = [taken.get(timeout=PATIENCE_SECONDS) for _ in range(waiting)]
    assert Counter(numbers) == Counter(range(waiting))
    assert [process.exitcode for process in processes] == [0] * workers
    assert taken.empty()


@pytest.mark.storm
@pytest.mark.parametrize("attempt", range(5))
def test_sixty_waiting_trials_go_to_six_workers_once_each(
    attempt: int,
    store_url: str,
    study: ParseStudy,  # noqa: F811
) -> None:
    share_out(store_url, study("budget: {trials: 60}\n"), waiting=60, workers=6)


def test_waiting_trials_go_to_one_worker_each(
    store_url: str,
    study: ParseStudy,  # noqa: F811
) -> None:
    share_out(store_url, study("budget: {trials: 16}\n"), waiting=16, workers=4)
