"""A study is deleted whole and alone, and a deletion that was killed is completed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from selector import deletion
from selector.errors import ConflictError, InputError, UnavailableError
from selector.records import Heat, Lease, OpeningStart
from selector.search.storage import opened_storage
from selector.store import Store
from selector.training import save_checkpoint
from tests.conftest import Results

OPENING = OpeningStart(
    study="flowers", trial=1, who="ada@here", why="paper", fingerprint="sha256:0123", samples=50
)
KILL = """
import os, signal, sys
from pathlib import Path
from selector import deletion
from selector.store import Store

def killed(step):
    def end(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    return end

def after(function):
    def once(*arguments, **named):
        function(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return once

step, url, artifacts = sys.argv[1:]
match step:
    case "in Optuna":
        deletion.optuna.delete_study = after(deletion.optuna.delete_study)
    case "before the rows":
        Store.delete_study = killed(step)
    case "after the rows":
        Store.delete_study = after(Store.delete_study)
    case "in the files":
        Path.unlink = after(Path.unlink)
with Store.open(url) as store:
    deletion.delete(store, "flowers", artifacts=Path(artifacts))
"""


def _optuna_names(store: Store) -> set[str]:
    with opened_storage(store) as storage:
        return {each.study_name for each in optuna.get_all_study_summaries(storage)}


def _write(path: Path, text: str = "x" * 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def artifacts(store: Store, results: Results, tmp_path: Path) -> Path:
    """The artifacts of a study with versions and finals, and of another study beside it."""
    artifacts = tmp_path / "artifacts"
    results.fill(store)
    other = "flowers.v2.trees"
    store.create_study(results.study(other))
    run_id = store.begin_run(results.run_start(other))
    store.start_trial(other, run_id, results.trial_start(0))
    store.finish_trial(other, results.pruned(0))
    row = results.study("flowers.finals")
    store.create_finals("flowers", row, [60])
    store.begin_run(results.run_start("flowers.finals"))
    start = results.trial_start(0, heat=Heat(finalist=1, seed=1, fold=0), origin="finals")
    store.start_trial("flowers.finals", 1, start)
    with opened_storage(store) as storage:
        for name in ("flowers", "flowers.v2", "flowers.finals", "flowers.v2.trees", "flowers.vx"):
            optuna.create_study(study_name=name, storage=storage)
    created = row.created_at.isoformat()
    ours = hashlib.sha256(created.encode()).hexdigest()[:8]
    for number in (0, 1, 4):
        _write(artifacts / f"flowers/{number}.safetensors")
    metadata = {"study": "flowers", "study_created": created, "trial": "9"}
    save_checkpoint(artifacts / "flowers" / "trial-0009", {}, metadata)
    _write(artifacts / f"flowers/resume/trial-0005-{ours}/state-1.safetensors")
    _write(artifacts / f"_tensorboard/flowers.{ours}/trial-0001/events")
    _write(artifacts / "flowers/alike-pictures/0.png")
    return artifacts


def _left(artifacts: Path) -> list[str]:
    return sorted(str(p.relative_to(artifacts)) for p in artifacts.rglob("*"))


def test_all_of_a_study_goes_and_nothing_else(store: Store, artifacts: Path) -> None:
    other = _write(artifacts / "flowers/resume/trial-0005-ffffffff/state-2.safetensors")
    store.release_trial("flowers", 5)
    before = store.trials("flowers.v2.trees")
    store.begin_opening(OPENING)
    going = deletion.contents(store, "flowers", artifacts=artifacts)
    assert going.trials == 7
    assert going.rows["selector_trials"] == 7
    assert going.rows["selector_studies"] == 2
    assert going.rows["selector_predictions"] == 3
    assert going.optuna_studies == ("flowers", "flowers.finals", "flowers.v2")
    assert going.openings == 1 and "selector_openings" not in going.rows
    assert len(going.files) == 7 and going.bytes > 60
    assert store.trials("flowers") != ()

    assert deletion.delete(store, "flowers", artifacts=artifacts) == going

    assert [row.name for row in store.studies()] == ["flowers.v2.trees"]
    assert store.study("flowers.finals") is None
    assert store.trials("flowers.v2.trees") == before
    (stays,) = store.openings_of_data("flowers.v2.trees")
    assert (stays.study, stays.study_deleted, stays.why) == ("flowers", True, "paper")
    assert _optuna_names(store) == {"flowers.v2.trees", "flowers.vx"}
    # Of another store's study of this name, and of nobody else.
    assert [p for p in artifacts.rglob("*") if p.is_file()] == [other]
    with pytest.raises(InputError, match="Unknown study 'flowers'"):
        deletion.contents(store, "flowers", artifacts=artifacts)


def test_finals_go_with_their_study_only(store: Store, artifacts: Path) -> None:
    with pytest.raises(InputError, match="selector delete flowers"):
        deletion.delete(store, "flowers.finals", artifacts=artifacts)
    assert store.finals("flowers") is not None


def test_a_file_outside_of_the_artifacts_is_never_touched(
    store: Store, artifacts: Path, tmp_path: Path
) -> None:
    outside = _write(tmp_path / "shipped" / "weights.safetensors")
    (artifacts / "flowers/0.safetensors").unlink()
    (artifacts / "flowers/0.safetensors").symlink_to(outside)
    deletion.delete(store, "flowers", artifacts=artifacts)
    assert outside.exists()


def test_a_study_is_not_deleted_under_its_workers(
    store: Store, results: Results, artifacts: Path
) -> None:
    lease = Lease(token="a" * 32, seconds=600.0)
    run_id = store.runs("flowers")[0].id
    store.start_trial("flowers", run_id, results.trial_start(6), lease=lease)
    before = _left(artifacts)
    with pytest.raises(ConflictError, match=r"workers hold 1 of its trials.*--force"):
        deletion.delete(store, "flowers", artifacts=artifacts)
    assert store.study("flowers") is not None
    assert "flowers" in _optuna_names(store)
    assert _left(artifacts) == before
    deletion.delete(store, "flowers", artifacts=artifacts, force=True)
    assert store.study("flowers") is None


def test_a_file_that_cannot_be_removed_is_named_and_waits(store: Store, artifacts: Path) -> None:
    stuck = artifacts / "flowers/0.safetensors"
    stuck.unlink()
    (stuck / "in the way").mkdir(parents=True)
    with pytest.raises(UnavailableError, match=r"0\.safetensors.*the same command"):
        deletion.delete(store, "flowers", artifacts=artifacts)
    assert store.study("flowers") is None
    (stuck / "in the way").rmdir()
    stuck.rmdir()
    deletion.delete(store, "flowers", artifacts=artifacts)
    assert _left(artifacts) == []


def test_rows_go_where_no_artifacts_are_on_this_machine(store: Store, artifacts: Path) -> None:
    deletion.delete(store, "flowers", artifacts=artifacts / "missing")
    assert store.study("flowers") is None
    assert (artifacts / "flowers/1.safetensors").exists()
    assert not (artifacts / "missing").exists()


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("in Optuna", marks=pytest.mark.storm),
        pytest.param("before the rows", marks=pytest.mark.storm),
        "after the rows",
        pytest.param("in the files", marks=pytest.mark.storm),
    ],
)
def test_a_deletion_that_was_killed_is_completed_by_the_same_call(
    step: str, store: Store, artifacts: Path
) -> None:
    store.begin_opening(OPENING)
    killed = subprocess.run(
        [sys.executable, "-c", KILL, step, store.url, str(artifacts)],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    deletion.delete(store, "flowers", artifacts=artifacts)

    assert [look.study for look in store.openings_of_data("flowers.v2.trees")] == ["flowers"]
    assert store.study("flowers") is None
    assert _optuna_names(store) == {"flowers.v2.trees", "flowers.vx"}
    assert _left(artifacts) == []
    with pytest.raises(InputError, match="Unknown study"):
        deletion.delete(store, "flowers", artifacts=artifacts)
