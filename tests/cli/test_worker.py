"""`worker`: another process takes trials of a stored study."""

from __future__ import annotations

import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from PIL import Image

from selector.spec import from_plain, spec_sha256, to_plain
from selector.store import Store
from tests.cli.conftest import STUDY, Command, start
from tests.cli.test_announcing import add_notify, kept


def raise_budget(place: Path, trials: int) -> None:
    """What `selector run --set budget.trials=...` stores before its first trial."""
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        spec = from_plain(store.require_study("tiny").spec)
        more = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": trials})})
        changed = {"spec": to_plain(more), "spec_sha256": spec_sha256(more)}
        store.update_study(replace(store.require_study("tiny"), **changed))


def states(place: Path) -> list[str]:
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        return [row.state for row in store.trials("tiny")]


@pytest.fixture
def pictures(selector: Command, place: Path) -> Path:
    """A folder of pictures, of which a study has one trial and is to have two."""
    home = place / "pictures"
    for name, level in (("dark", 40), ("light", 200)):
        (home / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (16, 16), (level, 10 * number, 0)).save(home / name / f"{number}.png")
    text = STUDY.replace('{source: "builtin:digits", limit: 200}', "{path: pictures}")
    (place / "study.yaml").write_text(text)
    result = selector("run", "study.yaml", "-q", "--set", "budget.trials=1")
    assert result.exit_code == 0, result.stderr
    raise_budget(place, 2)
    return home


def test_a_worker_takes_trials_until_the_budget_is_spent(
    selector: Command, pictures: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(place / "selector-artifacts"))
    monkeypatch.setenv("SELECTOR_STORE", f"sqlite:///{place / 'selector.db'}")
    monkeypatch.chdir(elsewhere)  # relative paths start where the run's study file lay

    result = selector("worker", "tiny")

    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("ended   2 trials")
    assert states(place) == ["complete", "complete"]


def test_a_worker_says_what_it_looked_for_where_the_images_are_not_here(
    selector: Command, pictures: Path, place: Path
) -> None:
    pictures.rename(place / "moved")

    missing = selector("worker", "tiny", "-q")
    named = selector("worker", "tiny", "-q", "--data", place / "moved")

    assert missing.exit_code == 2
    assert str(pictures) in missing.stderr
    assert f"reads relative paths from '{place}' here. --folder names" in missing.stderr
    assert named.exit_code == 0, named.stderr
    assert states(place) == ["complete", "complete"]


def test_a_worker_refuses_other_images(selector: Command, pictures: Path, place: Path) -> None:
    other = place / "other"
    shutil.copytree(pictures, other / "pictures")
    (other / "pictures" / "dark" / "0.png").unlink()

    result = selector("worker", "tiny", "-q", "--folder", other)

    assert result.exit_code == 3
    assert "are not those of study 'tiny': their fingerprint is" in result.stderr
    assert states(place) == ["complete"]


def test_a_study_without_files_has_no_images_elsewhere(finished: Command, tmp_path: Path) -> None:
    result = finished("worker", "tiny", "--data", tmp_path)

    assert result.exit_code == 2
    assert "reads builtin:digits, not files" in result.stderr


def test_a_worker_of_an_unknown_study_exits_2(finished: Command) -> None:
    result = finished("worker", "tinny")

    assert result.exit_code == 2
    assert "Did you mean 'tiny'?" in result.stderr


@pytest.mark.storm
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_stops_its_workers_and_hands_their_trials_back(
    selector: Command, place: Path, cache: Path, signum: int, code: int
) -> None:
    sets = ("--set", "workers=2", "--set", "budget.trials=8", "--set", "budget.epochs=60")
    environment = {"SELECTOR_CACHE": str(cache)}
    process = start("run", "study.yaml", *sets, cwd=place, environment=environment)
    family = psutil.Process(process.pid)
    limit = time.monotonic() + 300
    # No line says that a trial runs, for plain output has one when it ends.
    while not (place / "selector.db").exists() or "running" not in states_or_none(place):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.5)
    workers = [each for each in family.children() if "spawn_main" in " ".join(each.cmdline())]
    assert len(workers) == 2

    process.send_signal(signum)
    _, rest = process.communicate(timeout=120)

    assert process.returncode == code, rest
    last = rest.splitlines()[-1]
    assert last == "Stopped. Nothing is lost; the same command continues study 'tiny'."
    assert "Traceback" not in rest
    assert "running" not in states(place)
    assert not any(worker.is_running() for worker in workers)
    quick = ("--set", "workers=1", "--set", "budget.epochs=1")
    assert selector("run", "study.yaml", "-q", *sets, *quick).exit_code == 0
    assert states(place) == ["complete"] * 8


def states_or_none(place: Path) -> list[str]:
    """The states of the trials; none before the study is there."""
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        return [row.state for row in store.trials("tiny")] if store.study("tiny") else []


def test_a_worker_of_all_studies_leaves_one_that_ended_alone(
    selector: Command, place: Path
) -> None:
    add_notify(place)
    # Of the two trials only the first learns anything, so the finals would have one finalist.
    settings = ("sampler=grid", "search.lr=[0.01, 1.0e-9]", "search.batch_size=16")
    more = ("start_from=[{lr: 0.01}]", "budget={trials: 2, epochs: 6}", "finals={top: 1, seeds: 1}")
    sets = [word for setting in (*settings, *more) for word in ("--set", setting)]
    done = selector("run", "study.yaml", "-q", *sets)
    assert done.exit_code == 0, done.stderr

    for _ in range(2):
        again = selector("worker", "--once")
        assert again.exit_code == 0, again.stderr
        assert again.stderr.splitlines() == ["ended   no study has work left"]

    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        assert store.counts("tiny").complete == 2 and store.finals("tiny") is None
        assert len(store.runs("tiny")) == 1
    assert [notice["kind"] for notice in kept(place)] == ["finish"]
