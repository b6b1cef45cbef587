"""One cached output on disk: a folder with the rows and their description, whole or not there.

An entry is written under a temporary name, synced, and renamed as a folder. Its description holds
checksums of the rows and of itself; what does not agree with them is not an entry.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from selector.data.cache import sync
from selector.training.rows import Layout

ROWS, ABOUT = "rows.npy", "about.json"
LOCKS = "locks"
TEMPORARY = ".tmp-"
_TRASH = ".gone-"
# NumPy has no bfloat16: its bits are stored as integers.
_STORED_AS = {torch.float32: "<f4", torch.float16: "<f2", torch.bfloat16: "<u2"}
_DTYPES = {str(dtype): dtype for dtype in _STORED_AS}


@dataclass(frozen=True, slots=True)
class About:
    """What an entry says of its rows."""

    samples: int
    layout: Layout
    dtype: str  # torch's name
    checksum: int  # CRC-32 of the whole file of rows
    bytes: int  # of that file
    compute_seconds: float  # per image, measured as it was filled
    read_seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A complete entry, its rows mapped into memory."""

    about: About
    rows: Tensor  # (samples, elements), on the CPU; shared with everybody who maps the file


def storable(dtype: torch.dtype) -> bool:
    """Whether rows of this number format can be written."""
    return dtype in _STORED_AS


def read_about(folder: Path) -> About | None:
    """The description of an entry; None where there is none, or a damaged one."""
    try:
        outer = json.loads((folder / ABOUT).read_bytes())
        about = outer["about"]
        if outer["checksum"] != _checksum_of(about) or about["dtype"] not in _DTYPES:
            return None
        layout = Layout(*(tuple(about["layout"][part]) for part in ("shape", "strides")))
        return About(**{**about, "layout": layout})
    except (OSError, ValueError, LookupError, TypeError):
        return None


def open_entry(folder: Path, *, verify: bool) -> Entry | None:
    """The entry in a folder; None where it is absent, cut short or damaged.

    `verify` compares the checksum of the rows, which reads the file once from end to end.
    """
    about = read_about(folder)
    if about is None:
        return None
    try:
        path = folder / ROWS
        whole = path.stat().st_size == about.bytes
        if not whole or (verify and _checksum_of_file(path) != about.checksum):
            return None
        # "c" maps like "r", but torch accepts the array without a warning; nobody writes to it.
        stored = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return Entry(about, torch.from_numpy(stored).view(_DTYPES[about.dtype]))


class EntryWriter:
    """Writes the rows of an entry below `home`, batch by batch, in a temporary folder."""

    def __init__(
        self, home: Path, name: str, *, samples: int, layout: Layout, dtype: torch.dtype
    ) -> None:
        self.layout = layout
        self._final = home.parent / name
        self._folder = home / name
        self._samples = samples
        self._dtype = dtype
        self._folder.mkdir(parents=True)
        self._file: BinaryIO = (self._folder / ROWS).open("wb", buffering=0)
        header = io.BytesIO()
        shape = (samples, layout.elements)
        described = {"descr": _STORED_AS[dtype], "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, described)
        self._checksum = 0
        self._written = 0
        self._offset = len(header.getvalue())
        self._write(header.getbuffer())

    @property
    def final_bytes(self) -> int:
        """The size of the whole file."""
        return self._offset + self._samples * self.layout.elements * self._dtype.itemsize

    @property
    def unwritten_bytes(self) -> int:
        """What is still to come of it."""
        return self.final_bytes - self._written

    @property
    def path(self) -> Path:
        """The file of rows while it is written."""
        return self._folder / ROWS

    def add(self, features: Tensor) -> None:
        """Write the rows of the next samples."""
        rows = self.layout.flatten(features).cpu()
        stored = rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows
        self._write(stored.numpy().data.cast("B"))

    def written_rows(self) -> Tensor:
        """The rows that are there already, mapped: to time what reading them costs."""
        count = (self._written - self._offset) // (self.layout.elements * self._dtype.itemsize)
        dtype = np.dtype(_STORED_AS[self._dtype])
        shape = (count, self.layout.elements)
        return torch.from_numpy(
            np.memmap(self.path, dtype, mode="c", offset=self._offset, shape=shape)
        ).view(self._dtype)

    def reserve(self) -> None:
        """Give the file its final size, so that others count what it is going to take."""
        self._file.truncate(self.final_bytes)

    def finish(self, *, compute_seconds: float, read_seconds: float) -> Path:
        """Make the entry durable and visible; gives its folder."""
        os.fsync(self._file.fileno())
        self._file.close()
        about = About(
            samples=self._samples,
            layout=self.layout,
            dtype=str(self._dtype),
            checksum=self._checksum,
            bytes=self._written,
            compute_seconds=compute_seconds,
            read_seconds=read_seconds,
        )
        content = asdict(about)
        outer = {"about": content, "checksum": _checksum_of(content)}
        with (self._folder / ABOUT).open("w") as file:
            json.dump(outer, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        sync(self._folder)
        remove(self._final)  # a damaged one of this name
        self._folder.rename(self._final)
        sync(self._final.parent)
        return self._final

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, content: memoryview) -> None:
        self._checksum = zlib.crc32(content, self._checksum)
        while content:  # an unbuffered write may take less than it was given
            done = self._file.write(content)
            self._written += done
            content = content[done:]


def remove(folder: Path) -> None:
    """Take an entry away at once, then its files; who has them mapped keeps them."""
    gone = folder.with_name(f"{_TRASH}{uuid.uuid4().hex}")
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def _checksum_of(about: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())


def _checksum_of_file(path: Path) -> int:
    return zlib.crc32(np.memmap(path, np.uint8, mode="r").data)
