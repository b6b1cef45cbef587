"""Real processes, stopped or killed in the middle of a trial, and the same command again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import optuna
import pytest

from selector.errors import UnavailableError
from selector.search import storage
from selector.store import Store
from selector.training import load_checkpoint
from tests.cli.conftest import Command, start

EPOCHS = 40
_LONG = ("--set", "budget.trials=2", "--set", f"budget.epochs={EPOCHS}", "-q")
_OFTEN = ("--set", "training.checkpoint_seconds=0")


def results(url: str) -> tuple[list[tuple], list[np.ndarray]]:
    """All that the trials of the study gave but for the time they took."""
    with Store.open(url) as store:
        rows = store.trials("tiny")
        epochs = [
            (number, e.epoch, e.train_loss, e.validation_loss, e.score, e.lr)
            for number, e in store.epochs("tiny")
        ]
        trials = [(t.number, t.state, dict(t.params), t.score, t.metrics) for t in rows]
        return [*trials, *epochs], list(dict(store.predictions("tiny")).values())


def assert_same(url: str, other: str) -> None:
    (found, predictions), (wanted, wanted_predictions) = results(url), results(other)
    assert found == wanted
    for mine, theirs in zip(predictions, wanted_predictions, strict=True):
        assert np.array_equal(mine, theirs)


def states(url: str) -> list[str]:
    with Store.open(url) as store:
        return [row.state for row in store.trials("tiny")]


def reported(url: str, number: int = 0) -> int:
    """How many epochs of a trial the database knows."""
    with Store.open(url) as store, storage.opened_storage(store) as optuna_storage:
        study = optuna.load_study(study_name="tiny", storage=optuna_storage)
        return len(study.trials[number].intermediate_values)


def kept(place: Path) -> dict[str, int]:
    """The epochs in which the unfinished trials would go on."""
    found = {}
    for path in (place / "selector-artifacts/tiny/resume").glob("*/state-*"):
        try:
            metadata = load_checkpoint(path).metadata
        except UnavailableError:
            continue  # replaced meanwhile
        found[path.parent.name.rpartition("-")[0]] = json.loads(metadata["reached"])["epoch"]
    return found


def wait_for(process: subprocess.Popen[str], place: Path, *, epoch: int, trials: int = 1) -> None:
    """Until that many trials are kept in this epoch or a later one."""
    end = time.monotonic() + 120
    while sum(each >= epoch for each in kept(place).values()) < trials:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> str:
    """The URL of a store in which the study ran without a stop."""
    from tests.cli.conftest import STUDY, invoke

    folder = tmp_path_factory.mktemp("whole")
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SELECTOR_CACHE", str(cache))
        ran = invoke("run", "study.yaml", *_LONG)
    assert ran.exit_code == 0, ran.stderr
    return f"sqlite:///{folder / 'selector.db'}"


def go_on(selector: Command, url: str, *more: str) -> list[int]:
    """The same command again; the epochs in which trials went on."""
    again = selector("run", "study.yaml", *_LONG[:-1], *more, "--store", url)
    assert again.exit_code == 0, again.stderr
    assert "starts over" not in again.stderr
    return [int(number) for number in re.findall(r"goes on in epoch (\d+)", again.stderr)]


def test_a_killed_trial_goes_on_and_at_most_one_epoch_runs_again(
    selector: Command, place: Path, cache: Path, store_url: str, whole: str
) -> None:
    command = ("run", "study.yaml", *_LONG, *_OFTEN, "--store", store_url)
    process = start(*command, cwd=place, environment={"SELECTOR_CACHE": str(cache)})
    wait_for(process, place, epoch=4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = reported(store_url)
    assert states(store_url) == ["running"] and 3 <= before < EPOCHS

    (epoch,) = go_on(selector, store_url, *_OFTEN)

    assert before - (epoch - 1) <= 1, f"epochs {epoch} to {before} ran again"
    assert_same(store_url, whole)
    assert kept(place) == {}


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_keeps_the_trial_hands_it_back_and_exits_soon(
    selector: Command, place: Path, cache: Path, signum: int, code: int, whole: str
) -> None:
    url = f"sqlite:///{place / 'selector.db'}"
    # Kept by the clock first, so that it is known to train, and then because of the stop.
    sets = ("--set", "training.checkpoint_seconds=0.2")
    process = start(
        "run", "study.yaml", *_LONG, *sets, cwd=place, environment={"SELECTOR_CACHE": str(cache)}
    )
    wait_for(process, place, epoch=2)
    began = time.monotonic()
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == code, said
    assert said == "Stopped. Nothing is lost; the same command continues study 'tiny'.\n"
    assert states(url) == ["waiting"]
    # Not even an epoch that had not ended is trained again.
    assert list(kept(place).values()) == [reported(url) + 1]

    assert len(go_on(selector, url)) == 1
    assert_same(url, whole)


@pytest.mark.storm
def test_workers_in_processes_of_their_own_keep_their_trials(
    selector: Command, place: Path, cache: Path, whole: str
) -> None:
    url = f"sqlite:///{place / 'selector.db'}"
    sets = (*_OFTEN, "--set", "workers=2")
    process = start(
        "run", "study.yaml", *_LONG, *sets, cwd=place, environment={"SELECTOR_CACHE": str(cache)}
    )
    wait_for(process, place, epoch=2, trials=2)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 143, said
    assert states(url) == ["waiting", "waiting"]
    assert len(go_on(selector, url)) == 2
    assert_same(url, whole)
