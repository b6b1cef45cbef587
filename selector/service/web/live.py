"""The trials that run now, and how far each has come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from selector.records import Scalar, StudyRow
from selector.store import Store
from selector.store.names import name_of

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTrial:
    """A running trial: its last reported epoch from 1, None before the first.

    `heard` is False where its lease is over, so that nobody may be training it any more. `final` is
    True for one of the study's finals, which count from 0 on their own.
    """

    number: int
    final: bool
    backbone: str
    params: Mapping[str, Scalar]
    started_at: dt.datetime | None
    epoch: int | None
    score: float | None
    heard: bool


class Progress:
    """What running trials have reported to Optuna, read from one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: RDBStorage | None = None
        self._lock = Lock()

    def live(self, study: StudyRow) -> tuple[LiveTrial, ...]:
        """The running trials of a study by number, then those of its finals."""
        search = self._live(study, final=False)
        finals = self._store.finals(study.name)
        if finals is None:
            return search
        return search + self._live(self._store.require_study(finals.name), final=True)

    def _live(self, study: StudyRow, *, final: bool) -> tuple[LiveTrial, ...]:
        running = [row for row in self._store.trials(study.name) if row.state == "running"]
        if not running:
            return ()
        reported = self._reported(name_of(study.name, study.version))
        held = {each.number: each for each in self._store.held_trials(study.name)}
        found = []
        for row in running:
            epoch, score = reported.get(row.number, (None, None))
            lease = held.get(row.number)
            left = lease.seconds_left if lease is not None else None
            found.append(
                LiveTrial(
                    number=row.number,
                    final=final,
                    backbone=row.backbone,
                    params=row.params,
                    started_at=row.started_at,
                    epoch=epoch,
                    score=score,
                    heard=left is None or left > 0,
                )
            )
        return tuple(found)

    def _reported(self, optuna_name: str) -> dict[int, tuple[int, float]]:
        """The last epoch and its score of each running trial that has one."""
        from optuna.trial import TrialState

        with self._lock:
            storage = self._storage()
            if storage is None:
                return {}
            try:
                key = storage.get_study_id_from_name(optuna_name)
                trials = storage.get_all_trials(key, deepcopy=False, states=(TrialState.RUNNING,))
            except KeyError:  # no worker has opened the study yet
                return {}
            finally:
                storage.remove_session()
        last = {trial.number: trial.last_step for trial in trials}
        values = {trial.number: trial.intermediate_values for trial in trials}
        # Steps count from 0.
        return {n: (step + 1, values[n][step]) for n, step in last.items() if step is not None}

    def _storage(self) -> RDBStorage | None:
        """Optuna's storage, once a worker has made its tables."""
        if self._opened is None and self._store.holds_optuna():
            import optuna

            optuna.logging.set_verbosity(optuna.logging.WARNING)
            self._opened = optuna.storages.RDBStorage(self._store.url)
        return self._opened
