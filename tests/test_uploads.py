"""Artifacts behind a URL: two machines share nothing but the store and that place."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from selector import uploads
from selector.errors import InterruptedRun, ProblemsError, UnavailableError
from selector.events import EpochEnded, Event, TrialNote
from selector.predict import load_predictor
from selector.run import run
from selector.settings import load_settings
from selector.store import Store

STUDY = """
name: digits
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn, image_size: 16, freeze_depth: 2, lr: {log_uniform: [1.0e-3, 1.0e-1]}}
budget: {trials: 2, epochs: 3}
finals: off
pruner: none
device: cpu
"""


class Machines:
    """Machines with disks of their own, one study file and one store for all."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.far = folder / "far"
        self.study = folder / "study.yaml"
        self.study.write_text(STUDY)
        self.store = f"sqlite:///{folder / 'selector.db'}"
        self._folder = folder
        self._patch = patch
        patch.setenv("SELECTOR_ARTIFACTS", f"file://{self.far}")

    def use(self, name: str) -> None:
        """From now on this process is that machine."""
        self._patch.setenv("SELECTOR_CACHE", str(self._folder / name))

    def files(self) -> list[str]:
        return sorted(p.relative_to(self.far).as_posix() for p in self.far.rglob("*.*"))

    def checkpoints(self) -> list[tuple[str, str | None]]:
        with Store.open(self.store) as store:
            rows = store.trials("digits")
            return [(str(row.checkpoint), row.checkpoint_sha256) for row in rows]


def test_a_url_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as where it is not installed
    monkeypatch.setenv("SELECTOR_ARTIFACTS", "s3://bucket/artifacts")
    with pytest.raises(UnavailableError, match=r"s3://bucket.* need a package.*\[remote\]"):
        uploads.check()


@pytest.fixture
def cpu() -> torch.device:
    return torch.device("cpu")


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    machines = Machines(tmp_path, monkeypatch)
    machines.use("one")
    return machines


def test_a_candidate_of_one_machine_predicts_on_another(machines, cpu):
    run(machines.study, store=machines.store)
    named = machines.checkpoints()
    assert machines.files() == sorted(file for file, _ in named), "no more, no less than is named"
    machines.use("other")
    for file, sha256 in named:
        path = load_settings().artifacts / file
        assert not path.exists()
        assert load_predictor(path, device=cpu, sha256=sha256).class_names[0] == "0"


def test_a_trial_that_was_stopped_on_one_machine_goes_on_on_another(machines):
    notes: list[str] = []

    def stop(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def listen(event: Event) -> None:
        if isinstance(event, TrialNote):
            notes.append(event.text)

    with pytest.raises(InterruptedRun):
        run(machines.study, store=machines.store, observe=stop)
    assert [name.split("/")[1] for name in machines.files()] == ["resume"]
    machines.use("other")
    run(machines.study, store=machines.store, observe=listen)
    (note,) = notes
    assert note.startswith("goes on in epoch 3")
    assert not [name for name in machines.files() if "resume" in name], "the state outlived its use"


def test_what_is_not_kept_leaves_the_far_side_too(machines):
    run(machines.study, store=machines.store, overrides=["keep.best=1", "budget.trials=5"])
    kept = [file for file, sha256 in machines.checkpoints() if sha256 is not None]
    assert 0 < len(kept) < 5
    assert machines.files() == sorted(kept)


def test_a_place_that_cannot_be_written_is_said_before_the_first_trial(machines):
    machines.far.write_text("in the way")
    with pytest.raises(UnavailableError, match=r"The artifacts at 'file://.*' cannot be written"):
        run(machines.study, store=machines.store)


def test_a_scheme_that_nobody_knows_is_said_before_the_first_trial(machines, monkeypatch):
    monkeypatch.setenv("SELECTOR_ARTIFACTS", "memori://x")
    with pytest.raises((UnavailableError, ProblemsError), match="Protocol not known: memori"):
        run(machines.study, store=machines.store)


def test_a_checkpoint_that_changed_on_the_far_side_is_not_loaded(machines, cpu):
    run(machines.study, store=machines.store)
    file, sha256 = machines.checkpoints()[0]
    (machines.far / file).write_bytes((machines.far / file).read_bytes()[:-1] + b"!")
    machines.use("other")
    with pytest.raises(UnavailableError, match="changed or damaged"):
        load_predictor(load_settings().artifacts / file, device=cpu, sha256=sha256)


def test_a_folder_of_this_machine_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    path = tmp_path / "artifacts" / "file"
    uploads.upload(path)
    uploads.bring(path)
    uploads.bring_folder(path)
    uploads.remove(path)
    uploads.check()
    assert list(tmp_path.iterdir()) == []
