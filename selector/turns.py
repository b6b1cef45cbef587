"""Of several renewals of one family at once, on any machines, one goes on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from selector.errors import UnavailableError
from selector.records import Lease
from selector.search.heartbeat import Heartbeat
from selector.search.owners import is_gone, process_named
from selector.settings import load_settings
from selector.store import Store


@contextmanager
def turn(store: Store, name: str) -> Iterator[Lease | str]:
    """The right to renew the family `name`, kept as long as the context lasts.

    Where another process has it, a line that says so. That of a process of this host which died
    is taken over at once, that of another host when its lease is over.
    """
    lease = Lease(token=uuid.uuid4().hex, seconds=load_settings().lease_seconds)
    holder = process_named()
    other = store.champions.take_turn(name, lease, holder)
    if other is not None and is_gone(other):
        other = store.champions.take_turn(name, lease, holder, gone=other)
    if other is not None:
        yield f"it is being renewed on {other['host']}, pid {other['pid']}; nothing was done here"
        return
    try:
        with _TurnHeartbeat(store, name, lease).beating():
            yield lease
    finally:
        # A store that is away now frees it when the lease is over.
        with suppress(UnavailableError):
            store.champions.end_turn(name, lease)


class _TurnHeartbeat(Heartbeat):
    """Renews the lease of a renewal instead of that of a trial."""

    def __init__(self, store: Store, name: str, lease: Lease) -> None:
        super().__init__(store, name, 0, lease, stop=lambda: None)

    def _renew(self) -> bool:
        return self._store.champions.renew_turn(self._study, self.lease)
