"""A worker of the whole store: one study after the other, then waiting for more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from selector.errors import InterruptedRun, SelectorError, StudyStoppedError, visible
from selector.events import Observer
from selector.run import join
from selector.search.remaining import has_work
from selector.store import Store

Say = Callable[[str], None]
Watch = Callable[[], AbstractContextManager[Observer]]


def roam(
    store: Store,
    *,
    watch: Watch,
    say: Say,
    pause: Callable[[], None],
    once: bool = False,
    device: str | None = None,
) -> None:
    """Serve every study that has work left and is not stopped, the oldest first.

    Each is watched by an observer of its own. One that cannot be served here is said and left until
    its study file changes. With `once` it ends when nothing is left, with the first of those errors
    if there was one; otherwise it looks again after each `pause`.
    """
    round_ = _Round(store)
    said = False
    while True:
        name = next(round_.open(), None)
        if name is not None:
            said = False
            say(f"study   {name}")
            round_.serve(name, watch=watch, say=say, device=device)
        elif once:
            if round_.errors:
                raise round_.errors[0]
            say("ended   no study has work left")
            return
        else:
            if not said:
                say("waiting for studies; Ctrl-C ends it")
                said = True
            pause()


class _Round:
    """What one roaming worker knows of the studies that it has been to."""

    def __init__(self, store: Store) -> None:
        self.errors: list[SelectorError] = []
        self._store = store
        self._refused: dict[str, str] = {}  # hashes of study files by study
        self._left: dict[str, object] = {}  # what a study looked like when it was left

    def open(self) -> Iterator[str]:
        """The studies that a worker can do something for, the oldest first."""
        for summary in reversed(self._store.studies()):
            name = summary.name
            if summary.state == "stopped" or (name in self._refused and self._is_refused(name)):
                continue
            # Where the last visit changed nothing, another one would not either.
            if (looks := self._looks(name)) == self._left.get(name):
                continue
            if summary.state == "waiting" or has_work(self._store, name):
                yield name
            elif not self._runs(name):  # who would have to be taken over if it died
                self._left[name] = looks

    def serve(self, name: str, *, watch: Watch, say: Say, device: str | None) -> None:
        """Work on one study until there is nothing to take."""
        before = self._looks(name)
        try:
            with watch() as observe:
                join(name, store=self._store.url, observe=observe, device=device, waits=False)
        except StudyStoppedError as stop:
            say(str(stop))
        except InterruptedRun:
            raise
        except SelectorError as error:
            self.errors.append(error)
            self._refused[name] = self._store.require_study(name).spec_sha256
            say("\n".join(f"error: {visible(line)}" for line in str(error).splitlines()))
        after = self._looks(name)
        if before == after:
            self._left[name] = after

    def _is_refused(self, name: str) -> bool:
        return self._refused[name] == self._store.require_study(name).spec_sha256

    def _runs(self, name: str) -> bool:
        stored = self._store.finals(name)
        studies = [name] if stored is None else [name, stored.name]
        return any(self._store.counts(each).running for each in studies)

    def _looks(self, name: str) -> object:
        stored = self._store.finals(name)
        heats = self._store.outcomes(stored.name) if stored else ()
        states = Counter((row.state, row.retried) for row in self._store.outcomes(name))
        sha256 = self._store.require_study(name).spec_sha256
        return sha256, states, len(heats), stored.decided_at if stored else None
