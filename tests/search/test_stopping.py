"""A stop through the store: heard of while a trial trains, and before one is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from selector.errors import StudyStoppedError
from selector.events import EpochEnded, Event, RunReady
from selector.run import run
from selector.store import Store

STUDY = """\
name: tiny
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn, freeze_depth: 0, batch_size: 16, image_size: 16}
pruner: none
budget: {trials: 2, epochs: 100000}
finals: off
"""


@pytest.fixture
def study_file(own_place: Path) -> Path:
    """A study whose trials never end by themselves."""
    path = own_place / "study.yaml"
    path.write_text(STUDY)
    return path


def test_a_trial_that_trains_is_kept_and_handed_back(
    store: Store, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTOR_LEASE_SECONDS", "1")

    def stop_after_an_epoch(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 1:
            store.ask_to_stop("tiny", who="ann@box")

    with pytest.raises(StudyStoppedError, match=r"^Study 'tiny' was stopped by ann@box at "):
        run(study_file, store=store.url, observe=stop_after_an_epoch)

    assert [row.state for row in store.trials("tiny")] == ["waiting"]
    assert [each.status for each in store.runs("tiny")] == ["interrupted"]
    assert len(list(study_file.parent.glob("artifacts/tiny/resume/*/state-*"))) == 1
    assert store.state("tiny") == "stopped"

    again = run(study_file, store=store.url, overrides=["budget.epochs=1", "budget.trials=1"])

    assert [row.trial for row in again.candidates] == [0]
    assert store.state("tiny") == "finished"


def test_no_trial_is_taken_of_a_stopped_study(store: Store, study_file: Path) -> None:
    def stop_at_once(event: Event) -> None:
        if isinstance(event, RunReady):
            store.ask_to_stop("tiny", who="ann@box\x1b[31m")

    with pytest.raises(StudyStoppedError, match=r"stopped by ann@box\\x1b"):
        run(study_file, store=store.url, observe=stop_at_once)

    assert store.trials("tiny") == ()
