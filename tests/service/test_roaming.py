"""A worker without a study's name serves whatever the store has to offer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from selector.errors import InterruptedRun, ProblemsError
from selector.events import EpochEnded, Event, Observer, RunEnded
from selector.run import run
from selector.search.remaining import has_work
from selector.service.roaming import roam
from selector.store import Store
from tests.service.conftest import STUDY

SHORT = ("budget.epochs=1", "budget.trials=2")


class Ended(Exception):
    """The test has seen enough."""


@pytest.fixture
def study_file(own_place: Path) -> Path:
    path = own_place / "study.yaml"
    path.write_text(STUDY)
    return path


def interrupt(event: Event) -> None:
    if isinstance(event, EpochEnded):
        raise KeyboardInterrupt


def leave_unfinished(study_file: Path, store: Store, name: str, *more: str) -> None:
    """A study of which one trial has begun."""
    with pytest.raises(InterruptedRun):
        changes = [*SHORT, f"name={name}", *more]
        run(study_file, store=store.url, overrides=changes, observe=interrupt)
    assert store.state(name) == "interrupted"


class Watched:
    """What a roaming worker says and does."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.events: list[Event] = []

    @contextlib.contextmanager
    def watch(self) -> Iterator[Observer]:
        yield self.events.append

    def roam_once(self, store: Store) -> None:
        roam(store, watch=self.watch, say=self.said.append, pause=self.never, once=True)

    def never(self) -> None:
        raise AssertionError("it waited")


def test_every_study_with_work_left_is_served_once(store: Store, study_file: Path) -> None:
    for name in ("first", "second"):
        leave_unfinished(study_file, store, name)
    run(study_file, store=store.url, overrides=[*SHORT, "name=done"])
    leave_unfinished(study_file, store, "stopped")
    store.ask_to_stop("stopped", who="ann@box")
    watched = Watched()

    watched.roam_once(store)

    assert watched.said == ["study   first", "study   second", "ended   no study has work left"]
    assert len([event for event in watched.events if isinstance(event, RunEnded)]) == 2
    for name in ("first", "second"):
        assert [row.state for row in store.trials(name)] == ["complete"] * 2
        assert store.state(name) == "finished"
    assert store.counts("stopped").finished == 0
    assert len(store.runs("done")) == 1


def test_a_study_that_comes_later_is_taken_too(store: Store, study_file: Path) -> None:
    watched, pauses = Watched(), 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            raise Ended
        if pauses == 2:
            leave_unfinished(study_file, store, "late")

    with pytest.raises(Ended):
        roam(store, watch=watched.watch, say=watched.said.append, pause=pause)

    waits = "waiting for studies; Ctrl-C ends it"
    assert watched.said == [waits, "study   late", waits]
    assert store.state("late") == "finished"


def test_a_study_that_cannot_be_served_here_does_not_keep_the_others_waiting(
    store: Store, study_file: Path
) -> None:
    pictures = study_file.parent / "pictures"
    make_pictures(pictures)
    data = ["data={path: pictures}", "budget.trials=1"]
    leave_unfinished(study_file, store, "moved", *data)
    leave_unfinished(study_file, store, "second")
    pictures.rename(study_file.parent / "elsewhere")
    watched = Watched()

    with pytest.raises(ProblemsError, match="pictures"):
        watched.roam_once(store)

    assert watched.said[0] == "study   moved"
    assert watched.said[1].startswith("error: ")
    assert watched.said[2:] == ["study   second"]
    assert store.state("second") == "finished"


def test_a_study_that_is_stopped_meanwhile_is_left(store: Store, study_file: Path) -> None:
    leave_unfinished(study_file, store, "first")
    watched = Watched()

    @contextlib.contextmanager
    def watch() -> Iterator[Observer]:
        store.ask_to_stop("first", who="ann@box")
        yield watched.events.append

    roam(store, watch=watch, say=watched.said.append, pause=watched.never, once=True)

    assert watched.said[1].startswith("Study 'first' was stopped by ann@box")
    assert watched.said[2:] == ["ended   no study has work left"]


def test_a_study_that_kept_failing_is_left_to_people(store: Store, study_file: Path) -> None:
    leave_unfinished(study_file, store, "first", "budget.failures=1")
    (trial,) = store.trials("first")
    assert has_work(store, "first")
    run_id = store.runs("first")[-1].id
    make_failed(store, "first", trial.number, run_id)

    assert not has_work(store, "first")
    store.retry_trials("first", [trial.number])
    assert has_work(store, "first")


def make_pictures(home: Path) -> None:
    from PIL import Image

    for name, level in (("dark", 40), ("light", 200)):
        (home / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (16, 16), (level, 10 * number, 0)).save(home / name / f"{number}.png")


def make_failed(store: Store, study: str, number: int, run_id: int) -> None:
    from selector.records import TrialEnd, TrialStart

    row = store.trials(study)[number]
    start = TrialStart(
        number=number, backbone=row.backbone, params=row.params, origin=row.origin, seed=row.seed
    )
    store.start_trial(study, run_id, start)
    end = TrialEnd(
        number=number,
        state="failed",
        epochs=(),
        score=None,
        best_epoch=None,
        seconds=1.0,
        failure_cause="bug",
        failure_message="broken",
    )
    store.finish_trial(study, end)


def test_a_study_that_ended_is_not_served_again(store: Store, study_file: Path) -> None:
    finals = ("finals={top: 2, seeds: 1}",)
    studies = {"alone": ("budget.trials=1", *finals), "decided": finals, "without": ()}
    for name, changes in studies.items():
        run(study_file, store=store.url, overrides=[*SHORT, f"name={name}", *changes])
    assert store.finals("alone") is None and store.finals("decided") is not None
    assert not any(has_work(store, name) for name in studies)
    watched = Watched()

    watched.roam_once(store)

    assert watched.said == ["ended   no study has work left"]
    assert {name: len(store.runs(name)) for name in studies} == dict.fromkeys(studies, 1)
