"""A store that does not answer for a while: waited for, and said once when it begins and ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from selector.errors import StoreSilentError, UnavailableError
from selector.events import Observer, StoreAnswers, StoreSilent
from selector.search.storage import BUSY_SECONDS, reachable
from selector.settings import load_settings
from selector.store import Store
from selector.store.engine import impatient

FIRST_PAUSE_SECONDS = 0.05
PAUSE_SECONDS = 1.0  # at most, between two attempts
Result = TypeVar("Result")


class Outages:
    """Whether the store answers one worker. `patience_seconds` bounds every wait for it.

    With `waits` the worker has no trial: nothing goes on meanwhile, and that is said. The store is
    None as long as it is being opened.
    """

    def __init__(
        self,
        store: Store | None,
        *,
        observe: Observer,
        patience_seconds: float,
        waits: bool = False,
    ) -> None:
        self._store = store
        self._observe = observe
        self._patience_seconds = patience_seconds
        self._waits = waits
        self._began: float | None = None
        self._ended = -float("inf")

    def ride_out(self, action: Callable[[], Result]) -> Result:
        """What `action` gives, called again as long as the store is silent.

        So it may have been called before, up to any point. UnavailableError after the patience.
        """
        limit: float | None = None
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                # An attempt that waited long for SQLite's lock would be silent about it.
                with self._reachable(), impatient(BUSY_SECONDS):
                    result = action()
            except StoreSilentError as error:
                self.begin(error)
                now = time.monotonic()
                limit = now + self._patience_seconds if limit is None else limit
                if now >= limit:
                    raise UnavailableError(
                        f"{error} It was waited for, for {self._patience_seconds:g} s "
                        "(SELECTOR_OUTAGE_SECONDS)."
                    ) from None
                time.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS)
            else:
                self.end()
                return result

    def begin(self, error: StoreSilentError) -> None:
        """Take note that the store does not answer."""
        if self._began is None:
            self._began = time.monotonic()
            self._observe(StoreSilent(reason=error.reason, waits=self._waits))

    def end(self) -> None:
        """Take note that the store answers."""
        if self._began is not None:
            began, self._began, self._ended = self._began, None, time.monotonic()
            self._observe(StoreAnswers(seconds=self._ended - began))

    def seconds_since(self) -> float:
        """How long ago the last outage ended; infinite where there was none."""
        return time.monotonic() - self._ended

    def _reachable(self) -> AbstractContextManager[None]:
        return nullcontext() if self._store is None else reachable(self._store)


def waiting_for(store: Store | None, *, observe: Observer) -> Outages:
    """The outages of a process that has no trial now, as patient as the environment says."""
    patience = load_settings().outage_seconds
    return Outages(store, observe=observe, patience_seconds=patience, waits=True)


def open_store(url: str | None, *, observe: Observer) -> Store:
    """The store of a worker, by default that of the environment; one that is away is waited for.

    A URL that is wrong is refused at once, as `Store.open` does.
    """
    wanted = url or load_settings().store
    return waiting_for(None, observe=observe).ride_out(lambda: Store.open(wanted))
