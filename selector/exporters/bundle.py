"""A bundle on disk: its files, and how the folder comes to be whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selector import consumer
from selector.consumer.predict import FORMAT_VERSION
from selector.data.cache import sync
from selector.errors import ConflictError, UnavailableError

ABOUT = "bundle.json"
CARD = "MODEL_CARD.md"
PARITY = "parity.json"
REQUIREMENTS = "requirements.txt"
PROGRAM = "predict.py"
RUNTIME = "runtime.py"
FAILED = ".failed"


def write_programs(folder: Path, *, fmt: str, requirements: tuple[str, ...]) -> None:
    """Put the consumer's program into a bundle, with the packages that it needs."""
    shutil.copyfile(consumer.PROGRAM, folder / PROGRAM)
    shutil.copyfile(consumer.runtime_file(fmt), folder / RUNTIME)
    (folder / REQUIREMENTS).write_text("".join(f"{line}\n" for line in requirements))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON to read."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def write_about(folder: Path, about: Mapping[str, Any]) -> None:
    """Write bundle.json last: it names every other file with its SHA-256."""
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != ABOUT
    }
    write_json(folder / ABOUT, {"format_version": FORMAT_VERSION, **about, "files": files})


def fingerprint(folder: Path) -> str:
    """The SHA-256 of a bundle's bundle.json, which has those of all its other files."""
    return hashlib.sha256((folder / ABOUT).read_bytes()).hexdigest()


def size(folder: Path) -> int:
    """The bytes of a bundle's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def refuse_overwriting(target: Path, *, force: bool) -> None:
    """Raise ConflictError where something is at `target` that may not be replaced.

    With `force` an earlier bundle may be, and nothing else.
    """
    if not target.exists():
        return
    if not force:
        raise ConflictError(
            f"'{target}' exists already. Name another folder with --output, or replace it: --force."
        )
    if not (target / ABOUT).is_file():
        raise ConflictError(
            f"'{target}' is no bundle, so --force does not replace it. Name another with --output."
        )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` to fill; gone afterwards, unless it was moved away by then."""
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        yield folder
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move(folder: Path, target: Path) -> Path:
    """Give a finished folder its name, in place of an earlier bundle of that name."""
    for path in (*folder.iterdir(), folder):
        sync(path)
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
    if target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)
    return target


def failed_name(target: Path) -> Path:
    """Where a bundle is left that did not pass."""
    return target.with_name(f"{target.name}{FAILED}")


def _unwritable(target: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"The bundle '{target}' cannot be written: {error.strerror or error}. "
        "Name another folder with --output."
    )
