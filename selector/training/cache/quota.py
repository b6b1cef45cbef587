"""Room on the disk: what the cache takes, what leaves first, and leftovers of killed processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from selector.training.cache.entries import LOCKS, TEMPORARY, remove

WAIT_SECONDS = 600.0  # for another process; a trial that waits longer computes for itself
SPARE_BYTES = 256 << 20  # left free on the disk for everybody else


def pass_lock(folder: Path, name: str, *, wait_seconds: float = WAIT_SECONDS) -> FileLock:
    """The lock of one filling pass; it goes with its process, however that ends.

    Who waits for it longer than `wait_seconds` gets filelock's Timeout, an OSError.
    """
    locks = folder / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"{name}.lock", timeout=wait_seconds)


@contextmanager
def pass_folder(folder: Path, name: str) -> Iterator[Path]:
    """An empty folder to write entries in; call with the pass's lock held.

    What is in a folder of this name was left by a process that was killed.
    """
    home = folder / f"{TEMPORARY}{name}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def mark_used(entry: Path) -> None:
    """Note that an entry was read now."""
    try:
        os.utime(entry)
    except OSError:
        # Thrown out meanwhile, another user's, or on a disk that is only read: it merely looks
        # older than it is.
        return


@contextmanager
def changing_room(folder: Path) -> Iterator[None]:
    """Whoever counts and reserves does so alone."""
    with pass_lock(folder, "quota"):
        _sweep(folder)
        yield


def make_room(home: Path, needed: int, *, unwritten: int, quota_bytes: int, evict: bool) -> bool:
    """Whether the pass that writes in `home` may take `needed` bytes; call in `changing_room`.

    `unwritten` of them are still to come. With `evict`, entries that were not used for the longest
    time are thrown out, as many as it takes, and none if that would not be enough.
    """
    folder = home.parent
    used = sum(size_of(each) for each in _folders(folder) if each != home)
    free = shutil.disk_usage(folder).free - SPARE_BYTES
    missing = max(used + needed - quota_bytes, unwritten - free)
    leaving = []
    for entry in sorted(entries_of(folder), key=_used_at) if evict else ():
        if missing <= 0:
            break
        missing -= size_of(entry)
        leaving.append(entry)
    if missing > 0:
        return False
    for entry in leaving:
        remove(entry)
    return True


def trim(folder: Path, *, quota_bytes: int) -> None:
    """Throw out entries that were not used for the longest time until the rest fits the quota."""
    with changing_room(folder):
        used = sum(size_of(each) for each in _folders(folder))
        for entry in sorted(entries_of(folder), key=_used_at):
            if used <= quota_bytes:
                return
            used -= size_of(entry)
            remove(entry)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left: a pass whose lock is free runs no more."""
    for home in _folders(folder):
        if not home.name.startswith("."):
            continue
        if not home.name.startswith(TEMPORARY):
            shutil.rmtree(home, ignore_errors=True)
            continue
        try:
            with pass_lock(folder, home.name.removeprefix(TEMPORARY)).acquire(timeout=0):
                shutil.rmtree(home, ignore_errors=True)
        except Timeout:
            continue


def _folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_dir() and path.name != LOCKS)


def entries_of(folder: Path) -> Iterator[Path]:
    """The folders of complete entries."""
    return (path for path in _folders(folder) if not path.name.startswith("."))


def _used_at(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except FileNotFoundError:
                continue  # written or thrown out meanwhile
    return total
