"""Files of the cache: written once, by one process, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from selector.errors import UnavailableError


def fill_once(
    path: Path, fill: Callable[[Path], object], *, sound: Callable[[Path], bool] = Path.exists
) -> None:
    """Make `path` exist: `fill` writes a temporary file that then takes the name.

    What is there already and is not `sound` is filled again. Other processes that want the same
    file wait and find it there. UnavailableError if the folder cannot be written or the disk is
    full.
    """
    try:
        if sound(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not sound(path):
                _fill(path, fill)
    except OSError as error:
        raise _unavailable(path.parent, error) from error


def _fill(path: Path, fill: Callable[[Path], object]) -> None:
    # The lock is held: a leftover of this name comes from a process that was killed.
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        fill(temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _unavailable(folder: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"The cache folder '{folder}' cannot be written ({error.strerror or error}). "
        "Free some space or name another folder in SELECTOR_CACHE."
    )


def sync(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, survive a power cut.

    Only POSIX can open a folder for that; elsewhere a folder is left as it is.
    """
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
