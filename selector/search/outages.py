"""A store that does not answer for a while: waited for, and said once when it begins and ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from selector.errors import StoreSilentError, UnavailableError
from selector.events import Observer, StoreAnswers, StoreSilent
from selector.search.storage import reachable
from selector.store import Store

FIRST_PAUSE_SECONDS = 0.05
PAUSE_SECONDS = 1.0  # at most, between two attempts
Result = TypeVar("Result")


class Outages:
    """Whether the store answers one worker. `patience_seconds` bounds every wait for it."""

    def __init__(self, store: Store, *, observe: Observer, patience_seconds: float) -> None:
        self._store = store
        self._observe = observe
        self._patience_seconds = patience_seconds
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
                with reachable(self._store):
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
            self._observe(StoreSilent(reason=error.reason))

    def end(self) -> None:
        """Take note that the store answers."""
        if self._began is not None:
            began, self._began, self._ended = self._began, None, time.monotonic()
            self._observe(StoreAnswers(seconds=self._ended - began))

    def seconds_since(self) -> float:
        """How long ago the last outage ended; infinite where there was none."""
        return time.monotonic() - self._ended
