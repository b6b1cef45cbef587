"""The scores of a running trial on their way to Optuna, and its pruner's answer."""

from __future__ import annotations

from contextlib import suppress

import optuna

from selector.errors import StoreSilentError
from selector.search.heartbeat import Heartbeat
from selector.search.outages import Outages
from selector.search.storage import reachable
from selector.store import Store


class Reports:
    """Sends each epoch's score once and in order; what cannot be sent waits.

    `reported` epochs were sent by an earlier worker.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        store: Store,
        *,
        heartbeat: Heartbeat,
        outages: Outages,
        reported: int,
    ) -> None:
        self._trial = trial
        self._store = store
        self._heartbeat = heartbeat
        self._outages = outages
        self._reported = reported
        self._waiting: dict[int, float] = {}  # by step
        self._latest = 0

    @property
    def epoch(self) -> int:
        """The epoch that is trained now, from 1."""
        return max([self._reported, *(step + 1 for step in self._waiting), self._latest]) + 1

    def add(self, epoch: int, score: float) -> bool:
        """Report an epoch, from 1; whether the pruner would stop the trial here.

        Without an answer it goes on. Raises TrialLostError where another worker has the trial.
        """
        self._latest = epoch
        if epoch > self._reported:
            self._waiting[epoch - 1] = score  # steps count from 0
        # A trial that was handed back runs again over epochs that the pruner has already passed.
        if epoch < self._reported or self._heartbeat.silent:
            return False
        try:
            with reachable(self._store):
                self._heartbeat.require()
                self._send()
                behind = self._trial.should_prune()
        except StoreSilentError as error:
            self._outages.begin(error)
            self._heartbeat.ask_now()
            return False
        self._outages.end()
        return behind

    def keep(self, epoch: int, score: float) -> None:
        """Send an epoch of an earlier attempt with the next report, where its own was lost."""
        if epoch > self._reported:
            self._waiting[epoch - 1] = score

    def finish(self) -> None:
        """Send what waits, unless Optuna has been told of the trial's end already."""
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            self._send()

    def _send(self) -> None:
        for step in sorted(self._waiting):
            self._trial.report(self._waiting[step], step)
            del self._waiting[step]
