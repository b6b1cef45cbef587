"""Data sets that lie behind a URL: a copy of them on this machine, kept in step.

Any URL that fsspec knows will do: `s3://`, `gs://`, `sftp://`, `https://` and more, each through
the package that fsspec names for it. What was fetched is remembered by size and by what the other
side says of its version, so only new and changed files are fetched again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import fsspec
from filelock import FileLock

from selector.data.cache import sync
from selector.data.parallel import Progress
from selector.errors import DataError, UnavailableError
from selector.settings import REMOTE_EXTRA

LISTINGS = (".csv", ".parquet")  # name images beside them
CHUNK = 256  # files fetched before what is there is written down
# What file systems call the version of a file, the surest first.
_VERSIONS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "checksum",
    "generation",
    "LastModified",
    "last_modified",
    "mtime",
    "updated",
    "created",
)
_MANIFEST = "listing.json"


def is_url(path: str) -> bool:
    """Whether the path of a study file names another place than this machine's own disk."""
    return "://" in path


def mirrored(
    url: str, cache: Path, *, offline: bool = False, progress: Progress | None = None
) -> Path:
    """The folder or listing behind `url`, as a path on this machine.

    A listing (.csv, .parquet) comes with its whole folder, in which its images lie. `offline` takes
    what was fetched earlier. DataError for what is not there, or has names that are no file names;
    UnavailableError where it cannot be reached, or the package for it is missing.
    """
    _refuse_password(url)
    path = PurePosixPath(urlsplit(url).path)
    listing = path.name if path.suffix.lower() in LISTINGS else None
    root = url.rstrip("/").rpartition("/")[0] if listing else url.rstrip("/")
    place = cache / "mirrors" / hashlib.sha256(root.encode()).hexdigest()[:16]
    files = place / "files"
    if offline:
        if not (place / _MANIFEST).exists():
            raise UnavailableError(
                f"data.path '{url}' was never fetched to this machine, and SELECTOR_OFFLINE is "
                "set. Unset it for one run, or name a folder of this machine."
            )
    else:
        with _writable(cache, place), FileLock(f"{place}.lock"):
            _fetch(url, root, place, progress)
    return files / listing if listing else files


def _refuse_password(url: str) -> None:
    parts = urlsplit(url)
    if parts.password or parts.query:
        raise DataError(
            [
                f"data.path '{parts.scheme}://...' carries credentials or a query, which would be "
                "stored with the study. Leave them out; they come from the environment, as the "
                f"package for {parts.scheme}:// reads them."
            ]
        )


def _fetch(url: str, root: str, place: Path, progress: Progress | None) -> None:
    """Bring the copy in step, some files at a time: a stop in between loses those alone."""
    with _reached(url):
        source, base = fsspec.core.url_to_fs(root)
        listed: dict[str, dict[str, Any]] = source.find(base, detail=True)
    wanted = {_relative(name, base): name for name in listed if name.rstrip("/") != base}
    if not wanted:
        raise DataError([f"data.path '{url}' does not exist, or holds no file. Correct it."])
    _refuse_names(url, wanted)
    versions = {short: _version(listed[name]) for short, name in wanted.items()}
    files, known = place / "files", _known(place)
    missing = [
        short
        for short, version in versions.items()
        if known.get(short) != version or not (files / short).is_file()
    ]
    _forget(files, known, versions)
    known = {short: known[short] for short in known if short in versions}
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        _bring(url, source, {short: wanted[short] for short in chunk}, place)
        known |= {short: versions[short] for short in chunk}
        _write(place, known)
        if progress is not None:
            progress(start + len(chunk), len(missing), f"fetching {url}")
    if not missing:
        _write(place, known)


def _bring(url: str, source: Any, chunk: Mapping[str, str], place: Path) -> None:
    """Fetch some files; each takes its name when it is whole."""
    incoming, files = place / "incoming", place / "files"
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    parts = [incoming / str(number) for number in range(len(chunk))]
    with _reached(url):
        # Together, which file systems of the network do in parallel.
        source.get(list(chunk.values()), [str(part) for part in parts])
    for part, short in zip(parts, chunk, strict=True):
        path = files / short
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)


def _forget(files: Path, known: Mapping[str, str], versions: Mapping[str, str]) -> None:
    for short in known:
        if short not in versions:
            (files / short).unlink(missing_ok=True)


def _relative(name: str, base: str) -> str:
    return name.removeprefix(base).lstrip("/")


def _refuse_names(url: str, names: Sequence[str] | Mapping[str, str]) -> None:
    """Names of objects are free text: one that would leave the folder is no file name."""
    strange = [
        name
        for name in names
        if "\\" in name or "\0" in name or {"", ".", ".."} & set(name.split("/"))
    ]
    if strange:
        raise DataError(
            [
                f"data.path '{url}': '{ascii(name)[1:-1]}' is no name of a file below it. "
                "Rename or remove it."
                for name in sorted(strange)
            ]
        )


def _version(info: Mapping[str, Any]) -> str:
    version = next((f"{key} {info[key]}" for key in _VERSIONS if info.get(key) is not None), "")
    return f"{info.get('size')} {version}"


def _known(place: Path) -> dict[str, str]:
    try:
        known = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # fetched anew
    return dict(known) if isinstance(known, dict) else {}


def _write(place: Path, known: Mapping[str, str]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    temporary = place / f"{_MANIFEST}.tmp"
    temporary.write_text(json.dumps(known), encoding="utf-8")
    sync(temporary)
    temporary.replace(place / _MANIFEST)


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Turn what goes wrong on the other side into one line."""
    try:
        yield
    except FileNotFoundError:
        raise DataError([f"data.path '{url}' does not exist. Correct it."]) from None
    except ImportError as error:
        raise UnavailableError(
            f"data.path '{url}' needs a package: {error}. {REMOTE_EXTRA}"
        ) from None
    except ValueError as error:  # fsspec knows no such scheme
        raise DataError([f"data.path '{url}' cannot be read: {error}."]) from None
    except Exception as error:  # noqa: BLE001 - every file system has errors of its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnavailableError(
            f"data.path '{url}' cannot be reached: {reason}. Are address and credentials right?"
        ) from None


@contextmanager
def _writable(cache: Path, place: Path) -> Iterator[None]:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UnavailableError(
            f"The cache folder '{cache}' cannot be written ({error.strerror or error}). "
            "Free some space or name another folder in SELECTOR_CACHE."
        ) from error
