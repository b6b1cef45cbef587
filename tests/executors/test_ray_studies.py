"""Real studies on a Ray cluster: exact budgets, one worker's winner, and nodes that are lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

from selector.events import EpochEnded, Event, FinalsEnded, TrialEnded, TrialStarted, WorkerNote
from selector.run import ignore, run
from selector.search import storage
from selector.search.owners import OWNER
from selector.store import Store
from tests.executors.clusters import Cluster, started
from tests.security.test_passwords import SECRET, with_password
from tests.test_working import assert_ended_exactly, study

__all__ = ["study"]

ON_RAY = ["executor=ray", "workers=2"]


def winner(url: str) -> tuple[dict[str, object], float]:
    """The parameters and the score of the best trial."""
    with Store.open(url) as store:
        best = max(store.trials("shared"), key=lambda row: row.score or 0.0)
    assert best.score is not None
    return dict(best.params), best.score


def test_a_study_on_ray_ends_with_its_budget_and_its_finals(study: Path, cluster: Cluster) -> None:
    url = f"sqlite:///{study.parent / 'ray.db'}"
    events: list[Event] = []
    sets = [*ON_RAY, "budget.trials=4", "finals={top: 2, seeds: 1}"]

    run(study, store=url, overrides=sets, observe=events.append)

    assert_ended_exactly(url, 4)
    ended = Counter(e.number for e in events if isinstance(e, TrialEnded) and e.heat is None)
    assert ended == Counter(range(4))
    assert len([event for event in events if isinstance(event, FinalsEnded)]) == 1


@contextmanager
def two_nodes() -> Iterator[tuple[Cluster, Any]]:
    """A head without room for workers, and two nodes with room for one each; the second of them."""
    with started(head=0, places=1) as cluster:
        cluster.add_node()
        yield cluster, cluster.add_node()


@pytest.mark.storm
def test_one_worker_two_workers_and_two_nodes_choose_the_same_winner(
    study: Path, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Trials of this sampler depend on their number alone, so the trials are the same too.
    sets = ["sampler=qmc", "budget.trials=8"]
    alone, together = (f"sqlite:///{tmp_path / name}.db" for name in ("alone", "together"))
    if store_url.startswith("postgresql"):
        store_url = with_password(store_url)

    run(study, store=alone, overrides=sets)
    run(study, store=together, overrides=[*sets, "workers=2"])
    monkeypatch.setenv("SELECTOR_STORE", store_url)  # as it is on the nodes
    with two_nodes() as (cluster, _):
        run(study, overrides=[*sets, *ON_RAY])
        logs = [path.read_bytes() for path in cluster.folder.rglob("*") if path.is_file()]

    for url in (alone, together, store_url):
        assert_ended_exactly(url, 8)
    params, score = winner(alone)
    for url in (together, store_url):
        assert winner(url) == (params, pytest.approx(score))
    assert any(b"Actor" in log for log in logs)
    assert not any(SECRET.encode() in log for log in logs)


@pytest.mark.storm
def test_a_node_that_is_lost_in_the_middle_of_a_trial_loses_nothing(
    study: Path, store_url: str
) -> None:
    events: list[Event] = []
    lost: list[int] = []

    with two_nodes() as (cluster, node):
        there = {process.pid for process in cluster.processes_of(node)}

        def lose_it_once(event: Event) -> None:
            events.append(event)
            if lost or not isinstance(event, EpochEnded):
                return
            there.update(process.pid for process in cluster.processes_of(node))
            if owner_of(store_url, event.number) in there:
                lost.append(event.number)
                cluster.lose(node)
                cluster.add_node()

        sets = [*ON_RAY, "budget.epochs=20", "budget.trials=6"]
        run(study, store=store_url, overrides=sets, observe=lose_it_once)

    assert_ended_exactly(store_url, 6)
    begun = Counter(event.number for event in events if isinstance(event, TrialStarted))
    ended = Counter(event.number for event in events if isinstance(event, TrialEnded))
    (number,) = lost
    assert begun[number] == 2
    assert ended == Counter(range(6))
    (note,) = [event.text for event in events if isinstance(event, WorkerNote)]
    assert note.startswith("was lost with its Ray actor on ")
    assert note.endswith("; started again.")


def owner_of(url: str, number: int) -> int:
    """The process that runs a trial."""
    with Store.open(url) as store, storage.opened_storage(store) as optuna_storage:
        found = optuna.load_study(study_name="shared", storage=optuna_storage)
        return int(found.trials[number].user_attrs[OWNER]["pid"])


@pytest.mark.storm
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_has_its_actors_hand_their_trials_back(
    study: Path, number: signal.Signals, code: int, cluster: Cluster
) -> None:
    url = f"sqlite:///{study.parent / 'stopped.db'}"
    sets = [word for each in (*ON_RAY, "budget.epochs=500") for word in ("--set", each)]
    process = subprocess.Popen(
        [sys.executable, "-m", "selector.cli", "run", str(study), *sets, "--store", url],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    while "epoch" not in said.lower():
        line = process.stderr.readline()
        assert line, said
        said += line
    workers = workers_of(cluster)

    process.send_signal(number)
    said += process.communicate(timeout=120)[1]

    assert process.returncode == code, said
    assert "the same command continues" in said
    assert not any(psutil.pid_exists(pid) for pid in workers)
    with Store.open(url) as store:
        assert store.counts("shared").running == 0
    run(study, store=url, overrides=["budget.trials=2"], observe=ignore)
    assert_ended_exactly(url, 2)


def workers_of(cluster: Cluster) -> list[int]:
    """The processes of workers on the cluster's head."""
    return [
        process.pid
        for process in cluster.processes_of(cluster.head)
        if "spawn_main" in " ".join(process.cmdline())
    ]
