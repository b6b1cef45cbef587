"""What trials ask for the outputs of their frozen stages."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from selector.events import PrefixOutcome, PrefixUsed
from selector.records import SplitImages
from selector.training.cache.entries import ROWS, Entry, open_entry
from selector.training.cache.filling import CutCost, Terms, fill, loading_pays
from selector.training.cache.key import Keys, pass_name
from selector.training.cache.quota import (
    WAIT_SECONDS,
    mark_used,
    pass_folder,
    pass_lock,
    trim,
)
from selector.training.mapped import place_rows
from selector.training.prefix import ComputedPrefix
from selector.training.rows import StoredPrefix

FOLDER = "prefixes"
# Room comes back, and a folder that somebody deleted is made again. Other failures stay.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.ENOENT)


def ignore(use: PrefixUsed) -> None:
    """An observer that watches nothing."""


class PrefixCache:
    """Outputs of frozen stages in files below `cache`, shared by trials, workers and runs.

    `depths` names for each backbone the freeze depths that a study can ask for: the first trial
    that needs one of them computes all in the same pass over the images. `admit` says whether a
    cut is worth its file, by what computing and reading it was measured to cost; what it declines
    is not asked again in this process. What lies there beyond `quota_bytes`, which may have been
    more before, is thrown out at once. `wait_seconds` bounds how long a trial waits for another
    process that fills the same.

    Whatever fails about the files, a run goes on: what cannot be read or written is not kept.
    """

    def __init__(
        self,
        cache: Path,
        *,
        quota_bytes: int,
        depths: Mapping[str, frozenset[int]] | None = None,
        admit: Callable[[CutCost], bool] = loading_pays,
        wait_seconds: float = WAIT_SECONDS,
        observe: Callable[[PrefixUsed], None] = ignore,
    ) -> None:
        self._folder = cache / FOLDER
        self.depths = depths or {}
        self._terms = Terms(quota_bytes=quota_bytes, admit=admit)
        self._wait_seconds = wait_seconds
        self._observe = observe
        self._declined: set[str] = set()
        self._verified: set[tuple[str, int, int]] = set()
        if self._folder.is_dir():
            with suppress(OSError):  # it is merely larger than it should be
                trim(self._folder, quota_bytes=quota_bytes)

    def open(
        self, computed: ComputedPrefix, split: SplitImages, *, resident_bytes: int
    ) -> StoredPrefix | None:
        """The output of `computed` for every image of a split; None where it is not kept.

        Computed now unless it is there. On a GPU it is held on the device where it takes no more
        than `resident_bytes`.
        """
        if not split.content:
            return None
        started = time.perf_counter()
        entry, outcome = self._entry(computed, split)
        self._observe(
            PrefixUsed(
                backbone=computed.network.backbone.name,
                freeze_depth=computed.network.freeze_depth,
                view=computed.view,
                outcome=outcome,
                seconds=time.perf_counter() - started,
                bytes=entry.rows.nbytes if entry else 0,
            )
        )
        if entry is None:
            return None
        rows = place_rows(entry.rows, computed.device, resident_bytes=resident_bytes)
        return StoredPrefix((rows,), entry.about.layout, computed.device)

    def _entry(
        self, computed: ComputedPrefix, split: SplitImages
    ) -> tuple[Entry | None, PrefixOutcome]:
        requested = computed.network.freeze_depth
        keys = Keys(computed, split)
        name = keys.of(requested).digest
        found = self._read(name)
        if found is not None:
            return found, "hit"
        if name in self._declined:
            return None, "declined"
        try:
            try:
                return self._fill_or_find(computed, split, keys)
            except FileNotFoundError:  # somebody deleted the folder while it was written
                return self._fill_or_find(computed, split, keys)
        except OSError as error:
            if error.errno not in _PASSING:
                self._declined.add(name)
            return None, "declined"  # the trial computes it for itself

    def _fill_or_find(
        self, computed: ComputedPrefix, split: SplitImages, keys: Keys
    ) -> tuple[Entry | None, PrefixOutcome]:
        name = keys.of(computed.network.freeze_depth).digest
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = pass_lock(self._folder, pass_name(computed, split), wait_seconds=self._wait_seconds)
        with lock:  # only one process computes it; the others wait here and then find it
            found = self._read(name)
            if found is not None:
                return found, "hit"
            self._fill(computed, split, keys)
        found = self._read(name)
        return found, "filled" if found else "declined"

    def _fill(self, computed: ComputedPrefix, split: SplitImages, keys: Keys) -> None:
        network = computed.network
        wanted = {network.freeze_depth, *self.depths.get(network.backbone.name, ())} - {0}
        names = {cut: keys.of(cut).digest for cut in sorted(wanted)}
        names = {
            cut: name
            for cut, name in names.items()
            if cut == network.freeze_depth or not (name in self._declined or self._read(name))
        }
        with pass_folder(self._folder, pass_name(computed, split)) as home:
            filled = fill(
                computed, names, requested=network.freeze_depth, home=home, terms=self._terms
            )
        self._declined |= {names[cut] for cut in filled.declined}
        for folder in filled.kept.values():
            identity = _identity(folder)
            if identity is not None:  # its checksum is of what was just written
                self._verified.add(identity)

    def _read(self, name: str) -> Entry | None:
        """The entry of this name; its rows are verified the first time that this process reads."""
        folder = self._folder / name
        identity = _identity(folder)
        if identity is None:
            return None
        entry = open_entry(folder, verify=identity not in self._verified)
        if entry is not None:
            self._verified.add(identity)
            mark_used(folder)
        return entry


def _identity(folder: Path) -> tuple[str, int, int] | None:
    """Which file of rows this is: another one of the same name has to be verified again.

    None where there is none to be read: never filled, thrown out by another process, or hidden.
    """
    try:
        found = (folder / ROWS).stat()
    except OSError:
        return None
    return folder.name, found.st_ino, found.st_mtime_ns
