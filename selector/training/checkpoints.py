"""Trained weights on disk: safetensors, complete or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from selector.errors import UnavailableError


class SavedCheckpoint(NamedTuple):
    """What identifies a written file."""

    sha256: str
    bytes: int


class LoadedCheckpoint(NamedTuple):
    """Tensors by name, on the CPU, and the text stored with them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> SavedCheckpoint:
    """Write tensors to `path`, so that a crash leaves the old file or none; gives hash and size."""
    # Channels-last weights are written in the ordinary order of their dimensions.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(plain, dict(metadata))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        _write_durably(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return SavedCheckpoint(hashlib.sha256(content).hexdigest(), len(content))


def load_checkpoint(path: Path, *, sha256: str | None = None) -> LoadedCheckpoint:
    """The tensors and metadata of a file; checked against `sha256` where it is given.

    Raises UnavailableError for a file that is missing, damaged, or not the one expected.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UnavailableError(
            f"Checkpoint '{path}' is missing. Look for it in the artifacts folder of the run "
            "(SELECTOR_ARTIFACTS), or retry its trial."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise UnavailableError(
            f"Checkpoint '{path}' has sha256 {found[:12]}..., not {sha256[:12]}... as stored. "
            "It was changed or damaged; restore it, or retry its trial."
        )
    try:
        tensors = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise UnavailableError(
            f"Checkpoint '{path}' is not a complete safetensors file: {error}."
        ) from error
    return LoadedCheckpoint(tensors, _metadata(content))


def _metadata(content: bytes) -> dict[str, str]:
    """The text of a safetensors file: an 8-byte length, then a JSON header that carries it."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return dict(header.get("__metadata__", {}))


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; only POSIX can open a folder for that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
