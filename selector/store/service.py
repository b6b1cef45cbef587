"""The part of the store's handle that serves people and pages: stops, states, exports."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from selector.records import StopRequest, StoredBundle, StudyState
from selector.store import bundles, states, stops
from selector.store.transactions import Transactions


class Service(Transactions):
    """Stops, states and exports of studies. Every method is one transaction."""

    def state(self, study: str) -> StudyState:
        """What a study is doing."""
        with self._transaction(self.engine) as connection:
            return states.study_state(connection, study)

    def ask_to_stop(self, study: str, *, who: str) -> bool:
        """Have every run of a study stop, wherever it goes on, until it is run again.

        False, and nothing is changed, where it has finished: there is nothing to stop.
        """
        with self._transaction(self._writing) as connection:
            if states.has_finished(connection, study):
                return False
            stops.ask_to_stop(connection, study, who)
            return True

    def lift_stop(self, study: str, *, before_run: int | None = None) -> None:
        """Let a study go on: its runs from `before_run` on, by default those to come."""
        with self._transaction(self._writing) as connection:
            stops.lift_stop(connection, study, before_run)

    def stop_of(self, study: str, *, run_id: int | None = None) -> StopRequest | None:
        """The stop that holds for a run of a study, by default for one that would begin now."""
        with self._transaction(self.engine) as connection:
            return stops.find_stop(connection, study, run_id)

    def holds_optuna(self) -> bool:
        """Whether a worker has made Optuna's tables beside ours yet."""
        with self._transaction(self.engine) as connection:
            return inspect(connection).has_table("trials")

    def record_bundle(
        self, study: str, trial: int, *, fmt: str, folder: Path, sha256: str, size: int
    ) -> None:
        """Record an export of this host by its folder and the hash of its bundle.json."""
        with self._transaction(self._writing) as connection:
            bundles.record_bundle(connection, study, trial, fmt, folder, sha256, size)

    def bundles(self, study: str) -> tuple[StoredBundle, ...]:
        """The exports of a study, the newest first."""
        with self._transaction(self.engine) as connection:
            return bundles.list_bundles(connection, study)

    def bundle(self, key: int) -> StoredBundle | None:
        """One export, or None where the key is unknown."""
        with self._transaction(self.engine) as connection:
            return bundles.find_bundle(connection, key)
