"""What every part of the web page shares: the store, and who may do what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from selector.service.addresses import bare, is_address, is_loopback, names_loopback
from selector.service.web.boards import Boards
from selector.service.web.live import Progress
from selector.service.web.sessions import Sessions
from selector.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One server of one store.

    Relative paths of submitted studies start at `folder` and stay below it. `names` are hosts that
    requests may name beside the usual ones; `dashboard` is the URL of optuna-dashboard, if known.
    """

    store: Store
    host: str
    folder: Path
    artifacts: Path
    token: str | None = field(default=None, repr=False)
    names: frozenset[str] = frozenset()
    dashboard: str | None = None
    boards: Boards
    progress: Progress
    sessions: Sessions
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while a study is checked

    @property
    def open_to_read(self) -> bool:
        """Whether whoever reaches the server may read: on loopback, users of this machine."""
        return is_loopback(self.host)

    def knows(self, host: str) -> bool:
        """Whether a bare host of a request is this server's.

        A foreign page reaches a local server by a name whose address it controls. So a name has to
        be known here; an address in numbers cannot be pointed anywhere.
        """
        if names_loopback(host) or host == bare(self.host) or host in self.names:
            return True
        return not self.open_to_read and is_address(host)
