"""The menu of readers: which one fits a study file's data section."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from selector.data.readers.base import SPLIT_NAMES as SPLIT_NAMES
from selector.data.readers.base import Listing as Listing
from selector.data.readers.base import Reader as Reader
from selector.data.readers.base import locate
from selector.errors import DataError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from selector.spec.schema import DataSpec


def names() -> tuple[str, ...]:
    """The readers there are."""
    return ("builtin", "idx", "imagefolder", "table")


def load(name: str) -> Reader:
    """The reader of that name."""
    match name:
        case "builtin":
            from selector.data.readers.builtin import Builtin

            return Builtin()
        case "idx":
            from selector.data.readers.idx import Idx

            return Idx()
        case "imagefolder":
            from selector.data.readers.imagefolder import ImageFolder

            return ImageFolder()
        case "table":
            from selector.data.readers.table import Table

            return Table()
        case _:
            raise UnknownNameError("reader", name, names())


def choose(spec: DataSpec, *, base: Path) -> str:
    """The name of the reader for `spec`; DataError if there is nothing it could read."""
    if (spec.path is None) == (spec.source is None):
        given = "neither" if spec.path is None else "both"
        raise DataError(
            [
                f"data: exactly one of 'path' (a folder, .csv or .parquet) and 'source' "
                f"(such as builtin:digits) is needed, {given} is given."
            ]
        )
    if spec.path is None:
        return "builtin"
    return _of_path(spec.path, locate(spec.path, base))


def _of_path(written: str, path: Path) -> str:
    if not os.path.exists(path):  # noqa: PTH110 - false for a name too long to exist, too
        raise DataError([_missing(written, path)])
    if path.is_dir():
        return "idx" if any(path.glob("*-idx3-ubyte*")) else "imagefolder"
    if path.suffix.lower() in (".csv", ".parquet"):
        return "table"
    raise DataError(
        [
            f"data.path '{written}' is a file of an unknown kind. Use a folder of images, "
            "a .csv or a .parquet listing; unpack an archive first."
        ]
    )


def _missing(written: str, path: Path) -> str:
    hint = ""
    if path.parent.is_dir():
        hint = did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))
    return (
        f"data.path '{written}' does not exist (looked for {path}).{hint} "
        "A relative path starts at the folder of the study file."
    )
