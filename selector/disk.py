"""What selector could free on this machine's disk, and freeing it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selector.errors import InputError, UnavailableError
from selector.records import StudyRow
from selector.search import resuming, retention
from selector.store import Store, study_lock
from selector.training import load_metadata
from selector.training.cache.entries import remove as remove_entry
from selector.training.cache.prefix_cache import FOLDER as PREFIXES
from selector.training.cache.quota import changing_room, entries_of, size_of

Kind = Literal["checkpoint", "orphan", "resume", "temporary", "prefix", "images"]

# A running trial has written its checkpoint before it is recorded: what is young is left alone.
MINIMUM_AGE_SECONDS = 3600.0
IMAGES = "images"
_ENDED = ("complete", "pruned", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeable:
    """Something that may go: a checkpoint beyond the best, a leftover, an entry of a cache."""

    kind: Kind
    path: Path
    bytes: int
    study: str | None = None
    trial: int | None = None


def freeable(
    store: Store, *, artifacts: Path, cache: Path | None = None, study: str | None = None
) -> tuple[Freeable, ...]:
    """What could be freed of all studies, or of one; of `cache` everything, where it is given.

    A checkpoint that nobody refers to is freeable where it says that a study of this store made
    it, and what a trial kept of itself where that trial has ended or its study is gone; files of
    other stores that share the artifacts folder are never touched.
    """
    names = [study] if study is not None else [row.name for row in store.studies()]
    found: list[Freeable] = []
    for name in names:
        row = store.require_study(name)
        found += _collectable(store, row, artifacts)
        found += _orphans(store, row, artifacts)
    found += _leftovers(artifacts / study if study is not None else artifacts)
    found += _abandoned(store, artifacts, study=study)
    if cache is not None:
        found += _cached(cache)
    return tuple(found)


def free(
    store: Store, items: Iterable[Freeable], *, artifacts: Path, cache: Path | None = None
) -> tuple[Freeable, ...]:
    """Free what `freeable` gave, as far as that still holds; gives what went."""
    gone: list[Freeable] = []
    todo = list(items)
    for name in dict.fromkeys(item.study for item in todo if item.kind == "checkpoint"):
        row = store.require_study(str(name))
        collected = retention.collect(
            store, row.name, goal=row.goal, best=_best(row), top=_top(row), artifacts=artifacts
        )
        files = {artifacts / each.file for each in collected}
        gone += [item for item in todo if item.kind == "checkpoint" and item.path in files]
    for item in todo:
        if item.kind == "orphan":
            gone += _unlinked(item) if _still_unused(store, item, artifacts) else []
        elif item.kind == "resume":
            shutil.rmtree(item.path, ignore_errors=True)
            gone += [] if item.path.exists() else [item]
        elif item.kind in ("temporary", "images"):
            gone += _unlinked(item)
    prefixes = [item for item in todo if item.kind == "prefix"]
    if cache is not None and prefixes:
        with changing_room(cache / PREFIXES):
            for item in prefixes:
                remove_entry(item.path)
        gone += prefixes
    return tuple(gone)


def _collectable(store: Store, row: StudyRow, artifacts: Path) -> Iterator[Freeable]:
    for each in retention.collectable(
        store, row.name, goal=row.goal, best=_best(row), top=_top(row)
    ):
        yield Freeable(
            kind="checkpoint",
            path=artifacts / each.file,
            bytes=each.bytes,
            study=row.name,
            trial=each.trial,
        )


def _best(row: StudyRow) -> int | None:
    best: int | None = (row.spec.get("keep") or {}).get("best")
    return best


def _top(row: StudyRow) -> int | None:
    finals = row.spec.get("finals")
    return finals["top"] if isinstance(finals, Mapping) else None


def _orphans(store: Store, row: StudyRow, artifacts: Path) -> Iterator[Freeable]:
    used = store.files()
    for path in sorted((artifacts / row.name).glob("*.safetensors")):
        if path.relative_to(artifacts).as_posix() in used or not _is_old(path):
            continue
        trial = trial_of_checkpoint(path, row)
        if trial is not None:
            yield Freeable(kind="orphan", path=path, bytes=_size(path), study=row.name, trial=trial)


def trial_of_checkpoint(path: Path, row: StudyRow) -> int | None:
    """The trial that wrote a checkpoint; None where this very study did not write it."""
    try:
        metadata = load_metadata(path)
    except UnavailableError:
        return None  # no checkpoint of ours, whatever its name
    ours = metadata.get("study_created") == row.created_at.isoformat()
    return int(metadata["trial"]) if ours and metadata.get("study") == row.name else None


def _still_unused(store: Store, item: Freeable, artifacts: Path) -> bool:
    # Under the lock, for a trial is recorded under it; one that ends now has a young file.
    with study_lock(store, str(item.study)):
        return item.path.relative_to(artifacts).as_posix() not in store.files()


def _abandoned(store: Store, artifacts: Path, *, study: str | None) -> Iterator[Freeable]:
    """Folders from which no trial will go on: it ended elsewhere, or its study was deleted."""
    ours = resuming.named_store(store)
    for folder in sorted(artifacts.glob(f"{study or '*'}/{resuming.FOLDER}/trial-*-*")):
        name, (_, number, made_for) = folder.parent.parent.name, folder.name.split("-", 2)
        states = [path for path in folder.glob("state-*.safetensors") if _is_old(path)]
        if len(states) < len(list(folder.iterdir())) or not number.isdecimal():
            continue  # somebody writes to it, or put something else there
        row = _study_named(store, name)
        if row is not None and made_for == resuming.named_study(row):
            ended = {t.number for t in store.outcomes(name) if t.state in _ENDED}
            abandoned = int(number) in ended
        else:
            abandoned = any(_store_of(path) == ours for path in states)
        if abandoned:
            yield Freeable(
                kind="resume",
                path=folder,
                bytes=sum(_size(path) for path in states),
                study=name,
                trial=int(number),
            )


def _study_named(store: Store, name: str) -> StudyRow | None:
    try:
        return store.require_study(name)
    except InputError:
        return None


def _store_of(path: Path) -> str | None:
    try:
        return load_metadata(path).get(resuming.STORE)
    except UnavailableError:
        return None


def _leftovers(folder: Path) -> Iterator[Freeable]:
    """Files that a process was writing when it was killed."""
    for path in sorted(folder.rglob(".*.tmp")):
        if path.is_file() and _is_old(path):
            yield Freeable(kind="temporary", path=path, bytes=_size(path))


def _cached(cache: Path) -> Iterator[Freeable]:
    if (cache / PREFIXES).is_dir():
        for entry in sorted(entries_of(cache / PREFIXES)):
            yield Freeable(kind="prefix", path=entry, bytes=size_of(entry))
    for path in sorted((cache / IMAGES).glob("*.npy*")):
        # Locks stay: who waits for one must find the same file as who holds it.
        if path.suffix != ".lock" and _is_old(path):
            yield Freeable(kind="images", path=path, bytes=_size(path))


def _unlinked(item: Freeable) -> list[Freeable]:
    with suppress(OSError):
        item.path.unlink()
        return [item]
    return []


def _is_old(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > MINIMUM_AGE_SECONDS
    return False


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
