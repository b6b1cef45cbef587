"""Artifacts behind a URL: files are written and read here, and kept there.

With `SELECTOR_ARTIFACTS=s3://bucket/folder` (any URL that fsspec knows) the artifacts folder of
this machine is a copy below the cache. What is written goes to the URL before anyone is told of it,
and what is not here is brought from there. With a folder of this machine nothing happens.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import fsspec

from selector.errors import InputError, UnavailableError
from selector.settings import REMOTE_EXTRA, load_settings


class _Far(NamedTuple):
    """A file's or folder's place behind the URL."""

    system: Any
    path: str


def upload(path: Path) -> None:
    """Copy a file of the artifacts folder to the URL; UnavailableError where that fails."""
    with _reaching("cannot be written"):
        if (far := _far(path)) is not None:
            far.system.makedirs(far.path.rpartition("/")[0], exist_ok=True)
            far.system.put_file(str(path), far.path)


def bring(path: Path) -> None:
    """Fetch a file of the artifacts folder that is not here, if it is there."""
    if path.exists():
        return
    with _reaching("cannot be read"):
        if (far := _far(path)) is not None and far.system.exists(far.path):
            _fetch(far, path)


def bring_folder(folder: Path) -> None:
    """Make a folder of files the same as it is behind the URL."""
    with _reaching("cannot be read"):
        if (far := _far(folder)) is None:
            return
        there = far.system.find(far.path) if far.system.exists(far.path) else []
        names = {name.rpartition("/")[2]: name for name in there}
        for path in folder.glob("*"):
            if path.name not in names:
                path.unlink(missing_ok=True)
        for name, place in names.items():
            if not (folder / name).exists():
                _fetch(_Far(far.system, place), folder / name)


def remove(path: Path) -> None:
    """Delete a file or folder behind the URL; what is not there is well."""
    with _reaching("cannot be written"):
        if (far := _far(path)) is not None and far.system.exists(far.path):
            far.system.rm(far.path, recursive=True)


def check() -> None:
    """Raise UnavailableError where no artifact could be kept; leaves nothing behind."""
    with _reaching("cannot be written"):
        if (far := _far(load_settings().artifacts / f"check-{uuid.uuid4().hex}")) is not None:
            far.system.makedirs(far.path.rpartition("/")[0], exist_ok=True)
            far.system.pipe_file(far.path, b"selector")
            far.system.rm(far.path)


def _fetch(far: _Far, path: Path) -> None:
    """A file takes its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        far.system.get_file(far.path, str(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _far(path: Path) -> _Far | None:
    """Where a file is kept; None for one that lies on this machine alone."""
    settings = load_settings()
    if settings.artifacts_url is None or not path.is_relative_to(settings.artifacts):
        return None
    system, root = fsspec.core.url_to_fs(settings.artifacts_url)
    return _Far(system, f"{root.rstrip('/')}/{path.relative_to(settings.artifacts).as_posix()}")


@contextmanager
def _reaching(what: str) -> Iterator[None]:
    """Turn what goes wrong on the other side into one line."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise UnavailableError(
            f"The artifacts at '{load_settings().artifacts_url}' need a package: {error}. "
            f"{REMOTE_EXTRA}"
        ) from None
    except Exception as error:  # every file system has errors of its own
        url = load_settings().artifacts_url
        if url is None:
            raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnavailableError(
            f"The artifacts at '{url}' {what}: {reason}. Are address and credentials right? "
            "SELECTOR_ARTIFACTS names them."
        ) from None
