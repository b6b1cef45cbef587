"""Trained weights on disk: safetensors, complete or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from selector import uploads
from selector.data.cache import sync
from selector.errors import UnavailableError

SUFFIX = ".safetensors"
_NAMED_BY = 12  # characters of the hash in a file name: enough for all files of one trial


class SavedCheckpoint(NamedTuple):
    """Where a file was written, and what identifies its content."""

    path: Path
    sha256: str
    bytes: int


class LoadedCheckpoint(NamedTuple):
    """Tensors by name, on the CPU, and the text stored with them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def save_checkpoint(
    stem: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> SavedCheckpoint:
    """Write tensors to `STEM-<12 characters of their hash>.safetensors`, complete or not at all.

    Files of other content are never overwritten, whoever shares the folder. Where artifacts are
    kept behind a URL it is there, too, on return. Raises UnavailableError where nothing can be
    written.
    """
    # Channels-last weights are written in the ordinary order of their dimensions.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = _in_one_order(safetensors.torch.save(plain, dict(metadata)))
    sha256 = hashlib.sha256(content).hexdigest()
    path = stem.with_name(f"{stem.name}-{sha256[:_NAMED_BY]}{SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise UnavailableError(
            f"Checkpoint '{path}' cannot be written: {error.strerror or error}. Free space or "
            "rights there, or set SELECTOR_ARTIFACTS to another folder."
        ) from error
    uploads.upload(path)
    return SavedCheckpoint(path, sha256, len(content))


def load_checkpoint(path: Path, *, sha256: str | None = None) -> LoadedCheckpoint:
    """The tensors and metadata of a file; checked against `sha256`, or the beginning of it.

    Raises UnavailableError for a file that is missing, damaged, not the one expected, or that
    cannot be read.
    """
    uploads.bring(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UnavailableError(
            f"Checkpoint '{path}' is missing. Look for it in the artifacts folder of the run "
            "(SELECTOR_ARTIFACTS), or use another trial: --trial N."
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"Checkpoint '{path}' cannot be read: {error.strerror or error}."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and not found.startswith(sha256):
        raise UnavailableError(
            f"Checkpoint '{path}' has sha256 {found[:12]}..., not {sha256[:12]}... as stored. "
            "It was changed or damaged; restore it, or use another trial: --trial N."
        )
    try:
        tensors = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise UnavailableError(
            f"Checkpoint '{path}' is not a complete safetensors file: {error}."
        ) from error
    return LoadedCheckpoint(tensors, _metadata(content))


def load_metadata(path: Path) -> dict[str, str]:
    """The text stored with a checkpoint, without its tensors.

    Raises UnavailableError for a file that is missing or no checkpoint.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            # What is no length must not ask for more memory than the file has bytes.
            length = min(_header_length(start), path.stat().st_size)
            return _metadata(start + file.read(length))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UnavailableError(f"'{path}' cannot be read as a checkpoint: {error}.") from error


def named_sha256(path: Path) -> str:
    """The beginning of the hash that `save_checkpoint` put into a file's name."""
    return path.stem.rpartition("-")[2]


def _metadata(content: bytes) -> dict[str, str]:
    """The text of a safetensors file: an 8-byte length, then a JSON header that carries it."""
    return dict(_header(content).get("__metadata__", {}))


def _header(content: bytes) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(content[8 : 8 + _header_length(content)])
    return header


def _header_length(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _in_one_order(content: bytes) -> bytes:
    """The same file with its header's keys in order: safetensors writes its text in a random one.

    So the same weights and text have the same hash.
    """
    header = json.dumps(_header(content), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of 8
    return len(header).to_bytes(8, "little") + header + content[8 + _header_length(content) :]


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        _write_durably(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
