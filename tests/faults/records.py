"""What a study left in its two records and on disk, for comparing and for rules it must keep."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState
from sqlalchemy import text

from selector.errors import InputError
from selector.records import Floats
from selector.search import storage
from selector.store import Store

OPEN = (TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True)
class Left:
    """All that the trials of a study gave but for the time they took."""

    trials: tuple[object, ...]
    epochs: tuple[object, ...]
    predictions: Mapping[int, Floats]
    pick: object

    def assert_same(self, other: Left) -> None:
        """Fail where another run of the same study gave anything else, bit by bit."""
        assert self.trials == other.trials
        assert self.epochs == other.epochs
        assert self.pick == other.pick
        assert self.predictions.keys() == other.predictions.keys()
        for number, predictions in self.predictions.items():
            assert np.array_equal(predictions, other.predictions[number])


def left_by(url: str, name: str) -> Left:
    """What a study left, finals included."""
    with Store.open(url) as store:
        finals = store.finals(name)
        names = [name] if finals is None else [name, finals.name]
        rows = [row for each in names for row in store.trials(each)]
        epochs = [(each, *pair) for each in names for pair in store.epochs(each)]
        return Left(
            trials=tuple((t.number, t.state, dict(t.params), t.score, t.metrics) for t in rows),
            epochs=tuple(
                (of, number, e.epoch, e.train_loss, e.validation_loss, e.score, e.lr)
                for of, number, e in epochs
            ),
            predictions=dict(store.predictions(name)),
            pick=None if finals is None else (finals.pick, finals.reason),
        )


def states(url: str, name: str) -> list[str]:
    """The states of a study's trials in our record, its finals' behind; none of no study."""
    with Store.open(url) as store:
        try:
            finals = store.finals(name)
            names = [name] if finals is None else [name, finals.name]
            return [row.state for each in names for row in store.trials(each)]
        except InputError:
            return []


def assert_ended_once(url: str, name: str, *, trials: int, epochs: int) -> None:
    """Every trial is complete with all its epochs, in both records; nothing runs or waits."""
    with Store.open(url) as store, storage.opened_storage(store) as backend:
        rows = store.trials(name)
        kept = [(number, record.epoch) for number, record in store.epochs(name)]
        found = optuna.load_study(study_name=name, storage=backend).get_trials(deepcopy=False)
    assert [(row.number, row.state) for row in rows] == [(n, "complete") for n in range(trials)]
    assert not any(row.retried or row.retry_of is not None for row in rows)
    assert kept == [(n, e) for n in range(trials) for e in range(1, epochs + 1)]
    assert [trial.state for trial in found] == [TrialState.COMPLETE] * trials
    for row, trial in zip(rows, found, strict=True):
        assert trial.value == row.score
        assert sorted(trial.intermediate_values) == list(range(epochs))


def assert_nothing_is_open(url: str, name: str) -> None:
    """No trial runs or waits in either record, of the study or of its finals."""
    with Store.open(url) as store, storage.opened_storage(store) as backend:
        finals = store.finals(name)
        for each in [name] if finals is None else [name, finals.name]:
            ours = {row.number: row.state for row in store.trials(each)}
            found = optuna.load_study(study_name=each, storage=backend).get_trials(deepcopy=False)
            assert {t.number for t in found} == ours.keys()
            assert not [t.number for t in found if t.state in OPEN]
            assert set(ours.values()) <= {"complete", "pruned", "failed"}


def assert_files_are_there(url: str, artifacts: Path) -> None:
    """Every file that the database names exists, with the content it was recorded with."""
    with Store.open(url) as store, store.engine.connect() as connection:
        rows = connection.execute(text("SELECT file, sha256, bytes FROM selector_artifacts")).all()
    for file, sha256, size in rows:
        content = (artifacts / file).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha256, size), file
