"""The thread that renews the lease of a trial as long as it runs, and hears of stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from selector.errors import StudyStoppedError, TrialLostError, UnavailableError
from selector.records import Lease
from selector.store import Store

RENEWALS = 12  # in the time of one lease
RETRY_SECONDS = 1.0
JOIN_SECONDS = 1.0


class Heartbeat:
    """Renews the lease of one trial, and knows what became of it.

    `stop` asks the store whether the study was stopped; it is asked after each renewal.
    """

    def __init__(
        self,
        store: Store,
        study: str,
        number: int,
        lease: Lease,
        *,
        stop: Callable[[], StudyStoppedError | None],
    ) -> None:
        self.lease = lease
        self._store = store
        self._study = study
        self._number = number
        self._pause_seconds = lease.seconds / RENEWALS
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._over = False
        self._silent = False
        self._lost = False
        self._ask_for_stop = stop
        self._stop: StudyStoppedError | None = None

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew the lease until the context ends, whatever happens to the database."""
        # A daemon: one that waits for a locked database must not keep the program from ending.
        self._thread = threading.Thread(target=self._beat, name="selector-lease", daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            self._over = True
            self._wake.set()
            # A renewal that comes late changes nothing: by then the trial does not run any more.
            self._thread.join(timeout=JOIN_SECONDS)
            self._thread = None

    @property
    def silent(self) -> bool:
        """Whether the store gave no answer last time; the thread goes on asking."""
        return self._silent and self._thread is not None and self._thread.is_alive()

    def stopped(self) -> StudyStoppedError | None:
        """What the worker has to end with, once somebody has asked for the study to stop."""
        return self._stop

    def ask_now(self) -> None:
        """Have the thread find out at once whether the store answers."""
        self._silent = True
        self._wake.set()

    def require(self) -> None:
        """Raise TrialLostError where the trial is no longer this worker's; asks the store."""
        if self._lost or not self._store.holds_lease(self._study, self._number, self.lease):
            raise TrialLostError(
                "Its lease ran out while this worker could not renew it, and it was handed out "
                "again. What this worker has of it is dropped."
            )

    def _beat(self) -> None:
        pause = self._pause_seconds
        while not self._lost:
            self._wake.wait(pause)
            self._wake.clear()
            if self._over:
                return
            try:
                self._lost = not self._renew()
                self._stop = self._ask_for_stop()
            except UnavailableError:  # the worker itself says so when it meets it
                self._silent = True
                pause = min(RETRY_SECONDS, self._pause_seconds)
            else:
                self._silent = False
                pause = self._pause_seconds

    def _renew(self) -> bool:
        return self._store.renew_lease(self._study, self._number, self.lease)
