"""`stop`: workers end wherever they are, and nothing is lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from selector.records import RunStart
from selector.store import Store
from tests.cli.conftest import Command, start

LIMIT_SECONDS = 120.0
LONG = ("--set", "budget.trials=4", "--set", "budget.epochs=5000")
SHORT = ("--set", "budget.trials=4", "--set", "budget.epochs=1")


def wait_until(condition: Callable[[], bool], *processes: subprocess.Popen[str], why: str) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, why
        time.sleep(0.1)


def running(store: Store) -> int:
    return store.counts("tiny").running if store.study("tiny") else 0


def begin_again(store: Store) -> int:
    """A run of the finished study that goes on here, in this process."""
    return store.begin_run(
        RunStart(
            study="tiny",
            command="selector run study.yaml",
            spec={},
            fingerprint=store.require_study("tiny").data.fingerprint,
            environment={},
            host=socket.gethostname(),
            pid=os.getpid(),
        )
    )


@pytest.mark.storm
def test_a_stop_reaches_the_workers_of_a_study_and_loses_nothing(
    selector: Command,
    place: Path,
    cache: Path,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SELECTOR_STORE", store_url)
    # A lease is renewed twelve times in its life, and that is when a stop is heard of.
    environment = {"SELECTOR_CACHE": str(cache), "SELECTOR_LEASE_SECONDS": "12"}
    with Store.open(store_url) as store:
        run = start("run", "study.yaml", *LONG, cwd=place, environment=environment)
        wait_until(lambda: running(store) == 1, run, why="no trial runs")
        worker = start("worker", "tiny", cwd=place, environment=environment)
        wait_until(lambda: running(store) == 2, run, worker, why="no second trial runs")
        assert store.state("tiny") == "running"
        kept = place / "selector-artifacts" / "tiny" / "resume"

        stopped = selector("stop", "tiny")

        assert stopped.exit_code == 0, stopped.stderr
        assert "2 trials run still; each is kept" in stopped.stderr
        for process in (run, worker):
            _, said = process.communicate(timeout=LIMIT_SECONDS)
            assert process.returncode == 130, said
            last = said.splitlines()[-1]
            assert last.startswith("Study 'tiny' was stopped by "), said
            assert last.endswith("Nothing is lost; selector run continues it.")
            assert "Traceback" not in said
        assert [row.state for row in store.trials("tiny")] == ["waiting", "waiting"]
        assert {run.status for run in store.runs("tiny")} == {"interrupted"}
        assert store.state("tiny") == "stopped"
        assert len(list(kept.glob("*/state-*.safetensors"))) == 2

        again = selector("run", "study.yaml", "-q", *SHORT)

        assert again.exit_code == 0, again.stderr
        assert [row.state for row in store.trials("tiny")] == ["complete"] * 4
        assert store.state("tiny") == "finished"


@pytest.mark.storm
def test_a_stop_ends_a_run_with_several_processes(
    selector: Command, place: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"SELECTOR_CACHE": str(cache), "SELECTOR_LEASE_SECONDS": "12"}
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        run = start(
            "run", "study.yaml", *LONG, "--set", "workers=2", cwd=place, environment=environment
        )
        wait_until(lambda: running(store) == 2, run, why="no two trials run")

        assert selector("stop", "tiny").exit_code == 0

        _, said = run.communicate(timeout=LIMIT_SECONDS)
        assert run.returncode == 130, said
        assert said.splitlines()[-1].startswith("Study 'tiny' was stopped by ")
        assert "Traceback" not in said
        # One whose process took too long about it is handed out again all the same.
        assert {row.state for row in store.trials("tiny")} <= {"waiting", "running"}
        assert selector("run", "study.yaml", "-q", *SHORT).exit_code == 0
        assert [row.state for row in store.trials("tiny")] == ["complete"] * 4


def test_a_stopped_study_is_shown_as_such_and_takes_no_workers(
    selector: Command, place: Path
) -> None:
    assert selector("run", "study.yaml", "-q").exit_code == 0
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        again = begin_again(store)  # so that there is something to stop

        assert selector("stop", "tiny").exit_code == 0

        store.end_run(again, status="interrupted")

    refused = selector("worker", "tiny", "-q")
    assert refused.exit_code == 130
    assert refused.stderr.startswith("Study 'tiny' was stopped by ")
    (listed,) = json.loads(selector("list", "--format", "json").stdout)
    assert (listed["state"], listed["trials_left"]) == ("stopped", 0)
    assert json.loads(selector("show", "tiny", "--format", "json").stdout)["state"] == "stopped"
    assert selector("show", "tiny").stdout.splitlines()[1].split() == ["state", "stopped"]
    more = selector("run", "study.yaml", "-q", "--set", "budget.trials=4")
    assert more.exit_code == 0, more.stderr
    (listed,) = json.loads(selector("list", "--format", "json").stdout)
    assert listed["state"] == "finished"


def test_a_finished_study_stays_finished(selector: Command, place: Path) -> None:
    assert selector("run", "study.yaml", "-q").exit_code == 0

    result = selector("stop", "tiny")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Study 'tiny' has finished; there is nothing to stop.\n"
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        assert store.state("tiny") == "finished" and store.stop_of("tiny") is None


def test_an_unknown_study_cannot_be_stopped(finished: Command) -> None:
    result = finished("stop", "tinny")

    assert result.exit_code == 2
    assert "Did you mean 'tiny'?" in result.stderr
