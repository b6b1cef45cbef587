"""A trial that was stopped goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
import pytest

from selector.errors import InterruptedRun, UnavailableError
from selector.events import EpochEnded, Event, TrialEnded, TrialNote
from selector.records import EpochRecord
from selector.run import run
from selector.search import storage
from selector.search.claims import Claims
from selector.search.objective import report_missing
from selector.search.progress import Progress
from selector.search.resuming import ResumePoint
from selector.spec import load_study
from selector.store import Store
from selector.training import load_checkpoint, save_checkpoint

STUDY = """
name: digits
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  image_size: 16
  lr: {log_uniform: [1.0e-3, 1.0e-1]}
  freeze_depth: [0, 2]
  batch_size: 16
  augment: light
budget: {trials: 2, epochs: 5}
finals: off
pruner: none
device: cpu
"""
STOPPED = (0, 3)  # trial and epoch


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def study(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file in an empty folder."""
    monkeypatch.setenv("SELECTOR_CACHE", str(cache))
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@dataclass
class Watched:
    """Runs of the study in one database, with all their events."""

    study: Path
    url: str
    events: list[Event] = field(default_factory=list)
    at_stop: Callable[[], object] | None = None
    at_epoch: Callable[[EpochEnded], object] | None = None

    def __call__(self, *overrides: str, accept_drift: bool = False) -> None:
        run(
            self.study,
            overrides=overrides,
            store=self.url,
            observe=self._observe,
            accept_drift=accept_drift,
        )

    def stop_once(self, *overrides: str, step: int | None = 2) -> InterruptedRun:
        """Stop the run by a SIGTERM after this step of the epoch after STOPPED; None: with it."""
        wants, armed = ResumePoint.wants, False

        def arm() -> None:
            nonlocal armed
            armed, self.at_stop = step is not None, None
            if step is None:
                os.kill(os.getpid(), signal.SIGTERM)

        def stopping(point: ResumePoint, at: int) -> bool:
            nonlocal armed
            if armed and at == step:
                armed = False
                os.kill(os.getpid(), signal.SIGTERM)
            return wants(point, at)

        self.at_stop = arm
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ResumePoint, "wants", stopping)
            with pytest.raises(InterruptedRun) as stopped:
                self(*overrides)
        return stopped.value

    def left(self) -> tuple[list[tuple], list[np.ndarray]]:
        """All that the trials gave but for the time they took."""
        with Store.open(self.url) as store:
            rows = store.trials("digits")
            found = [
                *(
                    (t.number, t.state, dict(t.params), t.score, t.best_epoch, t.metrics)
                    for t in rows
                ),
                *(
                    (number, e.epoch, e.train_loss, e.validation_loss, e.score, e.lr)
                    for number, e in store.epochs("digits")
                ),
            ]
            return found, list(dict(store.predictions("digits")).values())

    def states(self) -> list[str]:
        with Store.open(self.url) as store:
            return [row.state for row in store.trials("digits")]

    def notes(self) -> list[str]:
        return [e.text for e in self.events if isinstance(e, TrialNote)]

    def epochs(self) -> list[tuple[int, int]]:
        return [(e.number, e.epoch) for e in self.events if isinstance(e, EpochEnded)]

    def files(self) -> list[Path]:
        return sorted((self.study.parent / "artifacts/digits").glob("resume/*/*"))

    def _observe(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, EpochEnded):
            if self.at_epoch is not None:
                self.at_epoch(event)
            if self.at_stop is not None and (event.number, event.epoch) == STOPPED:
                self.at_stop()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Watched:
    """The study, never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "study.yaml").write_text(STUDY)
    watched = Watched(folder / "study.yaml", f"sqlite:///{folder / 'whole.db'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELECTOR_CACHE", str(cache))
        patch.setenv("SELECTOR_ARTIFACTS", str(folder / "artifacts"))
        watched()
    return watched


def assert_same(one: Watched, other: Watched) -> None:
    (found, predictions), (wanted, wanted_predictions) = one.left(), other.left()
    assert found == wanted
    for mine, theirs in zip(predictions, wanted_predictions, strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("step", [0, 2])
def test_a_stopped_trial_goes_on_and_ends_with_the_same_bits(
    step, study, store_url, whole, tmp_path, monkeypatch
):
    ran = Watched(study, store_url)
    assert ran.stop_once(step=step).exit_code == 143
    assert ran.states() == ["waiting"]
    assert len(ran.files()) == 1

    # Another machine sees the shared folder under another name.
    (tmp_path / "artifacts").rename(tmp_path / "elsewhere")
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "elsewhere"))
    ran()

    (note,) = ran.notes()
    assert note == ("goes on in epoch 4" + (f", after step {step}" if step else ""))
    assert len(ran.epochs()) == len(set(ran.epochs())) == 10, "an epoch ran twice"
    assert_same(ran, whole)
    assert not (tmp_path / "elsewhere/digits/resume").exists()


def test_every_epoch_is_kept_at_an_interval_of_zero(study):
    ran = Watched(study, f"sqlite:///{study.parent / 'zero.db'}")
    kept = []

    def look(event: EpochEnded) -> None:
        kept.append([path.parent.name[:10] for path in ran.files()])

    ran.at_epoch = look
    ran("training.checkpoint_seconds=0")
    one, two = [["trial-0000"]], [["trial-0001"]]
    # An epoch is kept after it was told; nothing is kept of the last one, or of ended trials.
    assert kept == [[], *one * 4, [], *two * 4]
    assert ran.files() == []


def test_a_killed_worker_loses_no_epoch_that_was_kept(study, whole):
    ran = Watched(study, f"sqlite:///{study.parent / 'killed.db'}")
    every_epoch = "training.checkpoint_seconds=0"

    def die() -> None:
        # As little is done on the way out as if the process were gone.
        raise KeyboardInterrupt

    ran.at_stop = die
    with pytest.raises(InterruptedRun):
        ran(every_epoch)
    ran.at_stop = None
    ran(every_epoch)
    assert ran.notes() == ["goes on in epoch 3"]
    assert ran.epochs().count(STOPPED) == 2 and len(ran.epochs()) == 11
    assert_same(ran, whole)


def spoilt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def of_an_older_torch(path: Path) -> None:
    loaded = load_checkpoint(path)
    path.unlink()
    changed = {**loaded.metadata, "versions": loaded.metadata["versions"].replace("torch", "t")}
    save_checkpoint(path.with_name("state"), loaded.tensors, changed)


def of_something_else(path: Path) -> None:
    loaded = load_checkpoint(path)
    path.unlink()
    save_checkpoint(path.with_name("state"), loaded.tensors, {"trial": "0"})


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def broken_disk(path: Path) -> None:
    """A file whose reading is an input/output error, as of a disk that fails."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def locked(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    path.chmod(0)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (folder_instead, "Is a directory"),
        (broken_disk, "Input/output error"),
        (endless, "Too many levels of symbolic links"),
        (locked, "Permission denied"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_is_said_and_the_trial_starts_over(
    harm, reason, study, whole
):
    ran = Watched(study, f"sqlite:///{study.parent / 'unread.db'}")
    ran.stop_once()
    (path,) = ran.files()
    harm(path)
    ran()
    (note,) = ran.notes()
    assert note.startswith("starts over") and reason in note
    assert_same(ran, whole)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (spoilt, "changed or damaged"),
        (of_an_older_torch, "written with other versions"),
        (of_something_else, "written with other format, recipe, weights"),
    ],
)
def test_a_checkpoint_that_cannot_be_trusted_is_not_loaded(harm, reason, study, whole):
    ran = Watched(study, f"sqlite:///{study.parent / 'harmed.db'}")
    ran.stop_once()
    (path,) = ran.files()
    harm(path)
    ran()
    (note,) = ran.notes()
    assert note.startswith("starts over") and reason in note
    assert_same(ran, whole)
    assert ran.files() == []


def test_a_trial_with_another_recipe_starts_over(study):
    ran = Watched(study, f"sqlite:///{study.parent / 'changed.db'}")
    ran.stop_once()
    ran("training.clip_norm=0.5", accept_drift=True)
    assert ran.notes() == [
        "starts over; its checkpoint cannot be used: it was written with other recipe"
    ]
    assert ran.states() == ["complete"] * 2


def test_a_study_of_the_same_name_in_another_store_finds_nothing(study):
    one = Watched(study, f"sqlite:///{study.parent / 'one.db'}")
    one.stop_once()
    other = Watched(study, f"sqlite:///{study.parent / 'other.db'}")
    other()
    assert other.notes() == []
    assert len(one.files()) == 1, "it took the checkpoint of the first one with it"


def test_the_furthest_of_two_checkpoints_is_taken(study, whole):
    ran = Watched(study, f"sqlite:///{study.parent / 'two.db'}")
    first: list[tuple[Path, bytes]] = []

    def remember(event: EpochEnded) -> None:
        if (event.number, event.epoch) == STOPPED:
            first.extend((path, path.read_bytes()) for path in ran.files())

    ran.at_epoch = remember
    ran.stop_once("training.checkpoint_seconds=0")
    ((path, content),) = first
    assert not path.exists()
    path.write_bytes(content)  # as if it had been killed before it was removed
    ran("training.checkpoint_seconds=0")
    assert not ran.notes()[0].startswith("goes on in epoch 3")
    assert_same(ran, whole)


def test_a_full_disk_ends_the_run_and_spends_no_trial(study):
    ran = Watched(study, f"sqlite:///{study.parent / 'full.db'}")
    folder = study.parent / "artifacts/digits"
    folder.mkdir(parents=True)
    (folder / "resume").write_text("in the way, as a full disk would be")
    with pytest.raises(UnavailableError, match="cannot be written"):
        ran("training.checkpoint_seconds=0")
    assert ran.states() == ["waiting"]
    (folder / "resume").unlink()
    ran("training.checkpoint_seconds=0")
    assert ran.states() == ["complete"] * 2


def test_a_stop_wins_over_a_disk_that_is_full(study):
    ran = Watched(study, f"sqlite:///{study.parent / 'both.db'}")
    folder = study.parent / "artifacts/digits"
    folder.mkdir(parents=True)
    (folder / "resume").write_text("in the way")
    assert ran.stop_once().exit_code == 143


def test_probes_that_are_trained_together_start_again(study):
    ran = Watched(study, f"sqlite:///{study.parent / 'probes.db'}")
    probes = ("search.freeze_depth=5", "search.augment=none")
    ran.stop_once(*probes, step=None)
    assert ran.files() == []
    ran(*probes)
    assert ran.notes() == []
    assert ran.states() == ["complete"] * 2


def test_the_time_of_a_trial_counts_all_its_attempts(study):
    ran = Watched(study, f"sqlite:///{study.parent / 'time.db'}")
    ran.stop_once()
    (path,) = ran.files()
    loaded = load_checkpoint(path)
    path.unlink()
    reached = {**json.loads(loaded.metadata["reached"]), "seconds": 1000.0}
    later = {**loaded.metadata, "reached": json.dumps(reached)}
    save_checkpoint(path.with_name("state"), loaded.tensors, later)
    ran("budget.trial_time=100")
    (ended,) = [e for e in ran.events if isinstance(e, TrialEnded) and e.number == STOPPED[0]]
    assert ended.seconds > 1000
    assert ended.epochs < 5, "its time was up"


def test_a_report_that_was_lost_is_made_again(study):
    url = f"sqlite:///{study.parent / 'lost.db'}"
    ran = Watched(study, url)
    ran.stop_once()
    with Store.open(url) as store, storage.opened_storage(store) as backend:
        spec = load_study(study)
        found = optuna.load_study(study_name=spec.name, storage=backend)
        claim = Claims(store, found, spec, run_id=1).take()
        assert not isinstance(claim, str)
        progress = Progress(maximize=True)
        reached = claim.reported + 3
        for number in range(1, reached + 1):
            progress.add(EpochRecord(number, 1.0, 1.0, number / 10, 0.1, 1.0))
        report_missing(claim, progress)
        claim.reports.finish()
        values = found.trials[claim.number].intermediate_values
    assert sorted(values) == list(range(reached))
    assert values[reached - 1] == reached / 10
