"""Runs network.safetensors: the library's own network, filled with the bundle's weights."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

_SIZES = ("img_size", "image_size", "input_size")  # what a library calls that of its images


class Runtime:
    """The network of a bundle; bundle.json says how it is built and how pixels are normalised."""

    def __init__(self, file: Path, bundle: Mapping[str, Any], threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        # As in training; denormal numbers cost a processor many times an ordinary one.
        torch.set_flush_denormal(True)
        content = file.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        self.description: str = header.get("__metadata__", {}).get("description", "")
        network = _build(bundle["network"], classes=len(bundle["class_names"]))
        network.load_state_dict(safetensors.torch.load(content), strict=True)
        self._network = network.eval().to(memory_format=torch.channels_last)
        mean, std = (bundle["preprocessing"][key] for key in ("mean", "std"))
        self._mean, self._std = (torch.tensor(v).view(3, 1, 1) * 255 for v in (mean, std))

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Log probabilities (n, classes) float32 of pixels (n, size, size, 3) uint8."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32)
        with torch.no_grad():
            logits = self._network((images - self._mean) / self._std)
        return np.asarray(torch.log_softmax(logits, dim=1).numpy())


def _build(about: Mapping[str, Any], *, classes: int) -> Any:
    """The network as its library makes it, with random weights."""
    architecture, options = about["architecture"], about["options"]
    # Names of a library's own networks: others, such as hub names, would be fetched, and options
    # such as a path of weights would be read.
    own = re.fullmatch(r"[a-z_]+:[A-Za-z0-9_.]+|[A-Za-z0-9_.]+", architecture)
    if not own or (":" in architecture) != (about["library"] == "selector"):
        raise ValueError(f"bundle.json: no library has a network '{architecture:.100}'")
    for name, value in options.items():
        sizes = value if isinstance(value, list) else [value]
        if name not in _SIZES or not all(type(size) is int for size in sizes):
            raise ValueError(f"bundle.json: network.options '{name:.100}' is no option of a bundle")
    if about["library"] == "timm":
        timm: Any = importlib.import_module("timm")
        return timm.create_model(architecture, num_classes=classes, **options)
    if about["library"] == "torchvision":
        models: Any = importlib.import_module("torchvision.models")
        return models.get_model(architecture, weights=None, num_classes=classes, **options)
    if about["library"] == "selector":
        backbones: Any = importlib.import_module("selector.backbones")
        backbone = backbones.load(architecture, weights="random", **options)
        head = torch.nn.Linear(backbone.feature_dim, classes)
        return torch.nn.Sequential(*backbone.stages, head)
    raise ValueError(f"bundle.json: network.library '{about['library']}' is unknown")
