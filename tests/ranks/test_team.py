"""Trials on several devices, as runs and commands see them: real processes, on the CPU."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from selector.errors import UnavailableError
from selector.events import (
    EpochEnded,
    Event,
    PrefixUsed,
    RunReady,
    TrialEnded,
    TrialNote,
    WorkerNote,
)
from selector.preflight import prepare
from selector.run import ignore, run
from selector.spec import parse_study
from selector.store import Store
from tests.cli.conftest import start

PATIENCE_SECONDS = 120.0

STUDY = """\
name: shared
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: 2
  batch_size: [16, 32]
  image_size: 16
devices_per_trial: 2
pruner: none
budget: {trials: 2, epochs: 2}
finals: off
seed: 3
"""


@pytest.fixture
def study(own_place: Path) -> Path:
    """A study file in an empty folder, with everything that a run leaves beside it."""
    path = own_place / "study.yaml"
    path.write_text(STUDY)
    return path


def until(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < limit, f"it never came: {what}"
        time.sleep(0.02)


def spawned(parent: psutil.Process) -> list[psutil.Process]:
    """The Python processes that a process spawned itself; none where it is gone."""
    try:
        children = parent.children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def workers_and_ranks() -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The workers of the run in this process, and the ranks below them."""
    workers = spawned(psutil.Process())
    return workers, [rank for worker in workers for rank in spawned(worker)]


def assert_gone(processes: list[psutil.Process]) -> None:
    until(lambda: not any(process.is_running() for process in processes), "all are gone")


def assert_complete(count: int) -> None:
    with Store.open(os.environ["SELECTOR_STORE"]) as store:
        rows = store.trials("shared")
    assert [(row.number, row.state) for row in rows] == [(n, "complete") for n in range(count)]


def test_two_processes_train_every_trial_and_the_cache_is_filled_once(study: Path) -> None:
    events: list[Event] = []
    seen: set[int] = set()
    ranks: list[psutil.Process] = []

    def observe(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochEnded):
            found = workers_and_ranks()[1]
            seen.update(rank.pid for rank in found)
            ranks.extend(found)

    run(study, observe=observe)

    assert_complete(2)
    (said,) = {event.text for event in events if isinstance(event, TrialNote)}
    assert said == "batch normalisation is trained on each of 2 devices by itself"
    assert len(seen) == 1, "the second rank is kept from trial to trial"
    (ready,) = (event for event in events if isinstance(event, RunReady))
    assert re.fullmatch(r"cpu, 1 worker of 2 processes of \d+ threads?", ready.device)
    outcomes = [event.outcome for event in events if isinstance(event, PrefixUsed)]
    assert outcomes.count("hit") >= 2, outcomes  # of the second trial
    kept = list((study.parent / "cache" / "prefixes").rglob("rows*"))
    assert len(kept) == 2, "one entry for each split"
    assert_gone(ranks)


def test_a_rank_that_is_killed_costs_an_attempt_and_no_trial(study: Path) -> None:
    events: list[Event] = []
    killed: list[psutil.Process] = []

    def observe(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochEnded) and not killed:
            killed.extend(workers_and_ranks()[1])
            killed[0].kill()

    run(study, overrides=["budget.epochs=30"], observe=observe)

    assert_complete(2)
    notes = [event.text for event in events if isinstance(event, WorkerNote)]
    lost = "The process for cpu, one of 2 that train a trial together, was killed by SIGKILL."
    assert [note for note in notes if note.startswith(lost)], notes
    assert "died with exit code 1; started again." in notes
    assert_gone(killed)


def test_a_stopped_command_leaves_no_process_and_goes_on_with_one(study: Path) -> None:
    sets = ["budget.epochs=4000", "budget.trials=1", "training.checkpoint_seconds=0"]
    long = [word for value in sets for word in ("--set", value)]
    command = start("run", "study.yaml", *long, cwd=study.parent, environment={})
    try:
        whole = psutil.Process(command.pid)
        kept = study.parent / "artifacts" / "shared" / "resume"
        until(lambda: list(kept.rglob("state-*.safetensors")) != [], "a trial under way")
        below = whole.children(recursive=True)
        assert len([p for w in spawned(whole) for p in spawned(w)]) == 1
        began = time.monotonic()
        command.send_signal(signal.SIGTERM)
        _, printed = command.communicate(timeout=PATIENCE_SECONDS)
        assert command.returncode == 143, printed
        assert_gone(below)
        # Its own bound is 9 s for a worker, after which it is killed with all below it.
        assert time.monotonic() - began < 30
        assert "Traceback" not in printed
    finally:
        command.kill()
    events: list[Event] = []
    run(
        study,
        overrides=[*sets, "devices_per_trial=1", "budget.trial_time=1s"],
        observe=events.append,
    )

    note, *_ = (event.text for event in events if isinstance(event, TrialNote))
    assert re.match(r"goes on in epoch \d+.*, on 1 device instead of 2$", note), note
    assert_complete(1)


@pytest.mark.storm
def test_a_worker_that_is_killed_takes_its_ranks_along(study: Path) -> None:
    killed: list[psutil.Process] = []
    ranks: list[psutil.Process] = []

    def observe(event: Event) -> None:
        if isinstance(event, EpochEnded) and not killed:
            workers, below = workers_and_ranks()
            ranks.extend(below)
            killed.extend(workers)
            killed[0].kill()

    run(study, overrides=["budget.epochs=30"], observe=observe)

    assert_complete(2)
    assert ranks
    assert_gone([*killed, *ranks])


@pytest.mark.storm
def test_pruned_trials_and_finals_on_folds_use_the_same_processes(study: Path) -> None:
    events: list[Event] = []
    sets = ["budget.trials=6", "pruner=median", "finals={top: 2, seeds: 1, folds: 2}"]

    board = run(study, overrides=[*sets, "search.freeze_depth=[0, 3, 5]"], observe=events.append)

    ends = [event for event in events if isinstance(event, TrialEnded)]
    assert not [event for event in ends if event.state == "failed"], ends
    assert len([event for event in ends if event.heat is not None]) >= 4
    assert board.candidates
    assert not spawned(psutil.Process())


@pytest.mark.storm
def test_a_rank_that_is_killed_in_the_finals_ends_the_command_and_the_next_goes_on(
    study: Path,
) -> None:
    killed: list[psutil.Process] = []
    ended: list[TrialEnded] = []

    def observe(event: Event) -> None:
        if isinstance(event, TrialEnded) and event.heat is not None:
            ended.append(event)
        # Amid the second heat: between two of them a rank that is gone is just started again.
        if isinstance(event, EpochEnded) and event.epoch == 1 and ended and not killed:
            killed.extend(spawned(psutil.Process()))
            killed[0].kill()

    sets = ["finals={top: 2, seeds: 2}", "search.lr=[0.001, 0.01]"]
    with pytest.raises(UnavailableError, match="was killed by SIGKILL") as caught:
        run(study, overrides=sets, observe=observe)
    assert caught.value.exit_code == 4
    assert_gone(killed)
    events: list[Event] = []

    run(study, overrides=sets, observe=events.append)

    heats = [e.heat for e in events if isinstance(e, TrialEnded) and e.state == "complete"]
    assert len(heats) == 3, "one of four was done before"


def test_more_devices_than_there_are_is_one_clear_line(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    with pytest.raises(UnavailableError) as caught:
        prepare(parse_study(STUDY), base=study.parent, observe=ignore)

    assert caught.value.exit_code == 4
    assert str(caught.value) == (
        "devices_per_trial: 2 asks for more than the 1 CUDA device of device: auto. "
        "Lower it, or name more of them."
    )
