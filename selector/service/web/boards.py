"""Leaderboards and reports of studies, made again only when something has changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from selector.records import Leaderboard
from selector.reporting import html
from selector.reporting.ranking import rank
from selector.store import Store

Value = TypeVar("Value")


class Boards:
    """The leaderboards and HTML reports of one store, kept in memory, the last few of each.

    A board of a thousand candidates takes seconds, and a page asks for it every few seconds.
    """

    def __init__(self, store: Store, *, artifacts: Path) -> None:
        self._store = store
        self._artifacts = artifacts
        self._boards = _Kept[Leaderboard](32)
        self._reports = _Kept[str](2)  # megabytes each

    def board(self, study: str, metric: str | None = None) -> Leaderboard:
        """The leaderboard of a study as of now; raises what `rank` raises."""
        key = (study, metric, self._looks(study))
        return self._boards.get(key, lambda: rank(self._store, study, metric=metric))

    def report(self, study: str) -> str:
        """The HTML report of a study as of now, with the pictures that were drawn before."""
        key = (study, self._looks(study))
        return self._reports.get(
            key, lambda: html.write(html.gather(self._store, study, artifacts=self._artifacts))
        )

    def _looks(self, study: str) -> object:
        store = self._store
        finals = store.finals(study)
        return (
            store.require_study(study).created_at,
            store.require_study(study).spec_sha256,
            store.outcomes(study),
            finals,
            store.outcomes(finals.name) if finals else (),
            # Those of other studies are shown too, with their scores, and whether those are gone.
            tuple((o.id, len(o.scores), o.study_deleted) for o in store.openings_of_data(study)),
            len(store.runs(study)),
        )


class _Kept(Generic[Value]):
    """The last `most` values by key; one is made at a time, and never twice."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[object, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]
