"""An export as one zip file, made while it is sent."""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import zipfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from selector.records import StoredBundle
from selector.service.web.problems import ProblemError

ABOUT = "bundle.json"
_CHUNK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's first moment: the same bundle is the same file


def checked_files(bundle: StoredBundle) -> tuple[Path, ...]:
    """The files of a registered bundle, each with the hash that was registered with it.

    So nothing else of this machine can be fetched, whatever the store says. ProblemError where the
    bundle is of another host, is gone, or was changed.
    """
    if bundle.host != socket.gethostname():
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"Bundle {bundle.id} was exported on '{bundle.host}' and lies there.",
        )
    try:
        return tuple(_checked(bundle))
    except (OSError, ValueError, TypeError, AttributeError):
        raise ProblemError(
            HTTPStatus.GONE,
            f"Bundle {bundle.id} is no longer as it was exported. Export it again.",
        ) from None


def _checked(bundle: StoredBundle) -> Iterator[Path]:
    about = bundle.folder / ABOUT
    raw = about.read_bytes()
    if hashlib.sha256(raw).hexdigest() != bundle.sha256:
        raise ValueError(about)
    for name, sha256 in json.loads(raw)["files"].items():
        path = bundle.folder / name
        if not _NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
            raise ValueError(path)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise ValueError(path)
        yield path
    yield about


def stream(files: tuple[Path, ...], *, folder: str) -> Iterator[bytes]:
    """The bytes of a zip file that holds `files` below `folder`; never all in memory at once."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # weights do not get smaller
        for path in files:
            entry = zipfile.ZipInfo(f"{folder}/{path.name}", _EPOCH)
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
                    yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Where the archive is written to, without a way back."""

    def __init__(self) -> None:
        self._parts = bytearray()

    def writable(self) -> bool:
        """As every sink."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Keep the bytes until they are taken."""
        self._parts += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since it was last asked for."""
        taken = bytes(self._parts)
        self._parts.clear()
        return taken
