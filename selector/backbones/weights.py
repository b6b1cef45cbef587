"""Weights into networks: read a file, check every key, or draw them from a seed."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from selector.errors import InputError

PRETRAINED = "pretrained"
RANDOM = "random"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_SHOWN_KEYS = 4

# What the readers of weights raise on files that are damaged or something else altogether.
UNREADABLE = (
    SafetensorError,
    pickle.UnpicklingError,
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)


def local_file(weights: str, *, name: str) -> Path | None:
    """The file that `weights` names, or None for "pretrained" and "random".

    Raises InputError for a file that is not there or of a kind that is not read.
    """
    if weights in (PRETRAINED, RANDOM):
        return None
    path = Path(weights).expanduser()
    choices = (
        f"Give '{PRETRAINED}', '{RANDOM}' or the path of a .safetensors or .pth file "
        f"(backbones: {name}: {{weights: FILE}})."
    )
    if path.suffix not in _SUFFIXES:
        raise InputError(f"Weights '{weights}' of {name} are not a weights file. {choices}")
    if not path.is_file():
        raise InputError(f"Weights file '{weights}' of {name} does not exist. {choices}")
    return path


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in a .safetensors or .pth file, by name. Runs no code from the file."""
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"Weights file '{path}' cannot be read: {reason}. Fetch it again, or save the "
            "state_dict alone, best as .safetensors."
        ) from error
    return _tensors(content, path=path)


def fill(
    network: nn.Module, state: Mapping[str, Tensor], *, origin: str, classifier: Collection[str]
) -> None:
    """Load `state` into every parameter and buffer of `network`.

    Only what lies below the modules named in `classifier` may be absent or of another shape, as
    the classes may differ; it is then left as it is. Raises InputError for any other difference.
    """
    own = network.state_dict()
    below = tuple(f"{module}." for module in classifier)
    body = {key for key in own if not key.startswith(below)}
    given = {key for key in state if not key.startswith(below)}
    # Files from before torch 0.4.1 lack this counter, which only momentum-free BatchNorm reads.
    missing = {key for key in body - given if not key.endswith("num_batches_tracked")}
    shapes = {key for key in body & given if own[key].shape != state[key].shape}
    if missing or given - body or shapes:
        raise InputError(
            f"{origin} does not fit the architecture."
            f"{_keys('Missing', missing)}{_keys('Unexpected', given - body)}"
            f"{_keys('Of another shape', shapes)} Name the architecture the file was made with."
        )
    for key, tensor in state.items():
        if key in own and own[key].shape == tensor.shape:
            own[key] = tensor
    network.load_state_dict(own, strict=True)


def digest(path: Path) -> str:
    """The first 16 hex digits of the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Random weights made inside come from `seed`; the global random state is left as it was."""
    # The CPU generator alone: torch.manual_seed would also reseed every accelerator.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _tensors(content: object, *, path: Path) -> dict[str, Tensor]:
    """The state_dict in what a .pth file held, also where a training script wrapped it."""
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"Weights file '{path}' holds no state_dict. Save network.state_dict().")
    alien = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if alien:
        raise InputError(
            f"Weights file '{path}' holds more than tensors (first: '{alien[0]}'). "
            "Save network.state_dict() alone."
        )
    # DistributedDataParallel puts this before every name.
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _keys(what: str, keys: Collection[str]) -> str:
    if not keys:
        return ""
    shown = sorted(keys)[:_SHOWN_KEYS]
    more = f" and {len(keys) - len(shown)} more" if len(keys) > len(shown) else ""
    return f" {what}: {', '.join(shown)}{more}."
