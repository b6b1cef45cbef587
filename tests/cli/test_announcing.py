"""Whoever the study file names hears how a run ended: once, and of nothing else."""

from __future__ import annotations

import json
import re
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selector.announcing import announce_end
from selector.errors import UnavailableError
from selector.preflight import load_prepared
from selector.store import Store
from tests.cli.conftest import STUDY, Command, start
from tests.cli.test_failures import write_study
from tests.notices.receiver import Receiver, receiving

# Keeps each notice as a line of a file beside the study.
KEEP = "import sys; open('notices', 'a').write(sys.stdin.read() + chr(10))"


def add_notify(place: Path, **keys: Any) -> None:
    """Have the study's notices kept in a file, and sent where `keys` say."""
    block = {"command": [sys.executable, "-c", KEEP], "timeout_seconds": 60, **keys}
    with (place / "study.yaml").open("a") as file:
        file.write(f"notify: {json.dumps(block)}\n")


def kept(place: Path) -> list[dict[str, Any]]:
    file = place / "notices"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def test_a_finished_run_is_told_once(selector: Command, place: Path, receiver: Receiver) -> None:
    add_notify(place, url=receiver.url)
    done = selector("run", "study.yaml", "--set", "budget.trials=2")
    assert done.exit_code == 0, done.stderr
    (notice,) = kept(place)
    assert [json.loads(body) for _, body in receiver.got] == [notice]
    assert (notice["kind"], notice["study"], notice["error"]) == ("finish", "tiny", None)
    assert notice["reason"] == "2 trials"
    assert notice["trials"]["complete"] == 2
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        best = store.studies()[0]
        assert notice["run"] == store.runs("tiny")[0].id
    assert notice["best"]["trial"] == best.best_trial
    assert notice["best"]["score"] == best.best_score
    assert "selector.db" not in json.dumps(notice)

    # Who is told may change between two runs; the study is the same.
    other = selector("run", "study.yaml", "-q", "--set", "notify={command: ['false']}")
    assert other.exit_code == 0, other.stderr
    assert len(kept(place)) == 1


def test_a_hook_that_fails_is_one_line_and_the_run_is_fine(
    selector: Command, place: Path, receiver: Receiver
) -> None:
    receiver.answers = [403]
    block = f"notify={{url: '{receiver.url}', command: [/no/such/program]}}"
    done = selector("run", "study.yaml", "--set", "budget.trials=1", "--set", block)
    assert done.exit_code == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("notify")]
    address = receiver.url.partition("/hook")[0]
    assert said == [
        f"notify  {address} was not told: it answered 403.",
        "notify  /no/such/program was not told: it cannot be started: No such file or directory.",
    ]


def test_a_run_without_a_candidate_is_a_failure(selector: Command, place: Path) -> None:
    write_study(place, "1.0e+20")
    add_notify(place)
    assert selector("run", "study.yaml", "-q").exit_code == 5
    (notice,) = kept(place)
    assert (notice["kind"], notice["best"]) == ("failure", None)
    assert notice["trials"]["failed"] == 2


@pytest.mark.storm
def test_a_run_that_an_error_ends_is_a_failure(place: Path, cache: Path) -> None:
    add_notify(place)
    words = ["run", "study.yaml", "--log-format", "json", "--set", "budget.trials=500"]
    process = start(*words, cwd=place, environment={"SELECTOR_CACHE": str(cache)})
    assert process.stderr is not None
    next(text for text in process.stderr if json.loads(text)["event"] == "trial_ended")
    # The folder that checkpoints go to is gone, as with a disk that was taken away.
    (place / "selector-artifacts").rename(place / "away")
    (place / "selector-artifacts").write_text("in the way")

    _, rest = process.communicate(timeout=300)

    assert process.returncode == 4, rest
    (notice,) = kept(place)
    assert (notice["kind"], notice["reason"]) == ("failure", "an error")
    assert notice["error"].startswith("UnavailableError: ")
    assert notice["trials"]["complete"] >= 1 and notice["best"]["backbone"] == "toy:cnn"


def test_no_password_of_the_store_is_told(place: Path, store: Store) -> None:
    add_notify(place)
    prepared = load_prepared(place / "study.yaml", overrides=(), observe=print)
    error = UnavailableError("postgresql://ann:secret@db/x is gone")
    announce_end(prepared, store, run_id=7, reason="an error", observe=print, error=error)
    (notice,) = kept(place)
    assert notice["error"] == "UnavailableError: postgresql://ann:***@db/x is gone"
    assert (notice["run"], notice["trials"], notice["best"]) == (7, None, None)


@pytest.mark.storm
def test_a_watched_run_serves_metrics_logs_lines_and_tells_nobody_when_stopped(
    place: Path, cache: Path
) -> None:
    (place / "study.yaml").write_text(STUDY)
    add_notify(place)
    words = ["run", "study.yaml", "--log-format", "json", "--metrics-port", "0"]
    words += ["--set", "budget.trials=500", "--set", "writers=[tensorboard]"]
    process = start(*words, cwd=place, environment={"SELECTOR_CACHE": str(cache)})
    assert process.stderr is not None
    address, ended = "", 0
    for text in process.stderr:
        line = json.loads(text)
        if line["event"] == "note" and (found := re.search(r"http://\S+", line["text"])):
            address = found[0]
        ended += line["event"] == "trial_ended"
        if ended == 2:
            break
    with urllib.request.urlopen(address, timeout=120) as answer:
        metrics = answer.read().decode()
    counted = re.search(
        r'selector_trials_total\{phase="search",state="complete",study="tiny"\} (\S+)', metrics
    )
    assert counted is not None and float(counted[1]) >= 2
    epochs = re.search(r'selector_epoch_seconds_count\{study="tiny"\} (\S+)', metrics)
    assert epochs is not None and float(epochs[1]) >= 2
    assert "process_resident_memory_bytes" in metrics

    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=300)

    assert process.returncode == 130, rest
    lines = [json.loads(text) for text in rest.splitlines()]
    assert lines[-1]["event"] == "ended" and lines[-1]["exit_code"] == 130
    assert kept(place) == []
    written = list((place / "selector-artifacts" / "_tensorboard").glob("tiny.*/trial-*/events*"))
    assert len(written) >= 2


@pytest.mark.storm
def test_a_parent_counts_and_writes_for_all_its_workers(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selector.monitoring import RunMetrics

    made: list[RunMetrics] = []

    def keep(**options: Any) -> RunMetrics:
        made.append(RunMetrics(**options))
        return made[-1]

    add_notify(place)
    monkeypatch.setattr("selector.monitoring.RunMetrics", keep)
    done = selector(
        *("run", "study.yaml", "--metrics-port", "0", "--set", "workers=2"),
        *("--set", "budget.trials=4", "--set", "writers=[tensorboard, mlflow]"),
    )
    assert done.exit_code == 0, done.stderr
    assert len(kept(place)) == 1
    value = made[0].registry.get_sample_value
    labels = {"study": "tiny", "phase": "search", "state": "complete"}
    assert value("selector_trials_total", labels) == 4
    assert value("selector_epoch_seconds_count", {"study": "tiny"}) == 4
    homes = (place / "selector-artifacts" / "_tensorboard").glob("tiny.*/trial-*")
    assert sorted(home.name for home in homes) == [f"trial-{n:04d}" for n in range(4)]
