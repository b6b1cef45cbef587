"""Several workers on one study: exact budgets, whatever happens to them, on each database."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from selector.errors import UnavailableError
from selector.events import (
    EpochEnded,
    Event,
    Observer,
    PrefixUsed,
    RunEnded,
    TrialEnded,
    TrialStarted,
    WorkerNote,
)
from selector.preflight import prepare
from selector.records import Assignment, Seat, TrialEnd
from selector.run import ignore, run
from selector.search import objective, storage
from selector.search import worker as worker_loop
from selector.search.claims import Claim
from selector.spec import parse_study
from selector.store import Store
from selector.store.passwords import holds_password
from selector.working import assignment_of, work_for

STUDY = """\
name: shared
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: 0
  batch_size: [16, 32]
  image_size: 16
pruner: none
budget: {trials: 6, epochs: 1}
finals: off
seed: 3
"""


@pytest.fixture
def study(own_place: Path) -> Path:
    """A study file in an empty folder, with everything that a run leaves beside it."""
    path = own_place / "study.yaml"
    path.write_text(STUDY)
    return path


def sqlite(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"


def assert_ended_exactly(url: str, trials: int) -> None:
    """Both records of the study have these trials, all of them complete."""
    with Store.open(url) as store, storage.opened_storage(store) as optuna_storage:
        rows = store.trials("shared")
        found = optuna.load_study(study_name="shared", storage=optuna_storage).trials
    assert [(row.number, row.state) for row in rows] == [(n, "complete") for n in range(trials)]
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * trials


def params_by_origin(url: str, origin: str) -> list[dict[str, object]]:
    with Store.open(url) as store:
        return [dict(row.params) for row in store.trials("shared") if row.origin == origin]


def worker_processes() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_two_workers_end_with_the_budget_and_the_start_up_trials_of_one(study: Path) -> None:
    alone, together = sqlite(study.parent, "alone"), sqlite(study.parent, "together")
    events: list[Event] = []

    run(study, store=alone)
    board = run(study, store=together, overrides=["workers=2"], observe=events.append)

    assert_ended_exactly(together, 6)
    assert len(board.candidates) == 6
    for origin in ("recipe", "startup"):
        assert params_by_origin(alone, origin) == params_by_origin(together, origin)
    seen = Counter(event.number for event in events if isinstance(event, TrialEnded))
    assert seen == Counter(range(6))
    (ended,) = (event for event in events if isinstance(event, RunEnded))
    assert ended.reason == "6 trials"
    with Store.open(together) as store:
        assert [row.status for row in store.runs("shared")] == ["complete"]


def kill_workers(study: Path, url: str, *, workers: int) -> list[Event]:
    """Run the study and kill all its workers in the middle of a trial; its events."""
    events: list[Event] = []

    def kill_once(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochEnded) and not any(isinstance(e, WorkerNote) for e in events):
            for process in worker_processes():
                process.kill()

    sets = [f"workers={workers}", "budget.epochs=20", "budget.trials=4"]
    run(study, store=url, overrides=sets, observe=kill_once)
    return events


def test_workers_that_are_killed_lose_no_trial_and_double_none(study: Path) -> None:
    url = sqlite(study.parent, "killed")

    events = kill_workers(study, url, workers=2)

    assert_ended_exactly(url, 4)
    died = {e.worker: e.text for e in events if isinstance(e, WorkerNote)}
    assert died == dict.fromkeys(range(2), "was killed by SIGKILL; started again.")
    begun = Counter(event.number for event in events if isinstance(event, TrialStarted))
    assert max(begun.values()) == 2, "no trial was begun a second time"


def killed_over_the_first_trial(assignment: Assignment, seat: Seat, observe: Observer) -> str:
    """A worker on a host that has no memory for trial 0: the kernel ends the process."""
    run_trial = objective.run_trial

    def run_or_die(claim: Claim, *given: object, **named: object) -> TrialEnd:
        if claim.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return run_trial(claim, *given, **named)  # type: ignore[arg-type]

    worker_loop.run_trial = run_or_die  # type: ignore[assignment]
    return work_for(assignment, seat, observe)


@pytest.mark.storm
def test_a_trial_that_kills_its_workers_fails_and_the_others_complete(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, events = sqlite(study.parent, "poison"), list[Event]()
    # By name, for processes of their own import it.
    monkeypatch.setitem(run.__globals__, "work_for", killed_over_the_first_trial)

    run(study, store=url, overrides=["workers=2", "budget.trials=4"], observe=events.append)

    with Store.open(url) as store:
        rows = store.trials("shared")
    assert [row.state for row in rows] == ["failed", *["complete"] * 3]
    assert rows[0].failure_cause == "worker_killed"
    deaths = [event for event in events if isinstance(event, WorkerNote)]
    assert [note.text for note in deaths] == ["was killed by SIGKILL; started again."] * 3


@pytest.mark.storm
def test_the_outputs_of_frozen_stages_are_computed_by_one_worker_only(study: Path) -> None:
    events: list[Event] = []
    sets = ["workers=2", "budget.trials=4", "search.freeze_depth=5", "search.image_size=64"]
    # Trained together, trials would not each ask.
    sets += ["search.backbone=bundled:efficientnet_lite0", "training.fused_heads=off"]

    run(study, store=sqlite(study.parent, "prefixes"), overrides=sets, observe=events.append)

    outcomes = Counter(event.outcome for event in events if isinstance(event, PrefixUsed))
    # Each of four trials asks for its training and its validation images.
    assert outcomes == {"filled": 2, "hit": 6}


@pytest.mark.storm
def test_eight_workers_on_an_empty_database_end_with_exactly_the_budget(
    study: Path, store_url: str
) -> None:
    run(study, store=store_url, overrides=["workers=8", "budget.trials=24"], observe=ignore)

    assert_ended_exactly(store_url, 24)


@pytest.mark.storm
def test_killed_workers_lose_no_trial_on_either_database(study: Path, store_url: str) -> None:
    kill_workers(study, store_url, workers=3)

    assert_ended_exactly(store_url, 4)


def test_a_worker_whose_store_is_another_one_says_so(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(study, store=sqlite(study.parent, "right"), overrides=["budget.trials=1"])
    run(study, store=sqlite(study.parent, "wrong"), overrides=["budget.trials=1"])
    monkeypatch.setenv("SELECTOR_STORE", sqlite(study.parent, "wrong"))
    told = Assignment(study="shared", run_id=2, folder=str(study.parent), host="far", store=None)
    seat = Seat(number=0, device="cpu", threads=1)

    with pytest.raises(UnavailableError, match="SQLite is one machine's"):
        work_for(told, seat, ignore)
    with pytest.raises(UnavailableError, match="Set SELECTOR_STORE to the run's store on every"):
        work_for(replace(told, host=socket.gethostname()), seat, ignore)


def test_a_password_is_not_told_to_workers_on_other_machines(study: Path) -> None:
    spec = parse_study(STUDY + "executor: ray\n")
    prepared = prepare(spec, base=study.parent, observe=ignore)
    with Store.open(sqlite(study.parent, "plain")) as store:
        assert assignment_of(prepared, store, run_id=1).store == store.url
    assert holds_password("postgresql://u:x@h/db")
    assert holds_password("postgresql://h/db?user=u&password=x")
    assert not holds_password("postgresql://u@h/db")
    assert not holds_password("postgresql://u:@h/db")
