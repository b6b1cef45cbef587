"""The machine and the code that a run used: device, git commit, package versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from selector.errors import InputError, UnavailableError

PACKAGES = (
    "selector-finetune",
    "torch",
    "torchvision",
    "timm",
    "optuna",
    "sqlalchemy",
    "numpy",
    "pillow",
    "safetensors",
)


def choose_device(name: str) -> torch.device:
    """The device called `auto`, `cpu`, `cuda` or `cuda:N`; UnavailableError when it is absent."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise InputError(f"Unknown device '{name}'. Known: auto, cpu, cuda, cuda:N.")
    found = torch.cuda.device_count()
    if kind == "cuda" and int(index or 0) >= found:
        raise UnavailableError(
            f"Device '{name}' is not here: {found} CUDA devices found. Use device: auto or cpu."
        )
    return torch.device(name)


def choose_devices(name: str) -> tuple[torch.device, ...]:
    """All devices that a study called `name` may use: every CUDA device for `auto` and `cuda`."""
    first = choose_device(name)
    if first.type != "cuda" or first.index is not None:
        return (first,)
    return tuple(torch.device("cuda", index) for index in range(torch.cuda.device_count()))


def devices_of_trials(name: str, each: int) -> tuple[tuple[torch.device, ...], ...]:
    """The devices that a study called `name` may use, `each` of them for one trial.

    On a CPU every one is the CPU, and stands for a process on its share of the cores. Raises
    UnavailableError where there are fewer than `each`; what is left over stays unused.
    """
    devices = choose_devices(name)
    if devices[0].type != "cuda":
        return (devices * each,)
    if each > len(devices):
        raise UnavailableError(
            f"devices_per_trial: {each} asks for more than the {len(devices)} CUDA device"
            f"{'' if len(devices) == 1 else 's'} of device: {name}. Lower it, or name more of them."
        )
    starts = range(0, len(devices) - each + 1, each)
    return tuple(devices[start : start + each] for start in starts)


def cores() -> int:
    """How many cores this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_name(device: torch.device) -> str:
    """The device for people: `cpu, 2 threads` or the GPU's product name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def describe(device: torch.device, *, base: Path) -> Mapping[str, Any]:
    """What a run should be able to name later; `base` is the study file's folder."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "device": device_name(device),
        "folder": str(base.resolve()),  # relative paths of the study file start here
        **made_by(),
        "git_commit": _git_commit(base),
    }


def made_by() -> Mapping[str, Any]:
    """What trains here: package versions, and a hash of selector's own code."""
    return {"packages": dict(versions()), "code": _code_sha256()}


def versions() -> Mapping[str, str]:
    """The versions of the packages that decide what a training gives."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a source tree that is not installed
    return found


def _code_sha256() -> str:
    """One hash of all of selector's modules: a source tree changes without its version."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _git_commit(base: Path) -> str | None:
    """The commit of the folder, with `+` when its tree has changes; None outside git."""
    try:
        commit = _git(base, "rev-parse", "HEAD")
        return f"{commit}+" if _git(base, "status", "--porcelain") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(base: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=base, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
