"""Runs network.pt2 with torch: uint8 pixels in, log probabilities out."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Runtime:
    """The network of a bundle; normalisation is part of its graph."""

    def __init__(self, file: Path, bundle: Mapping[str, Any], threads: int | None) -> None:
        del bundle  # the graph holds all that it needs
        _refuse_pickle(file)
        if threads is not None:
            torch.set_num_threads(threads)
        # As in training; denormal numbers cost a processor many times an ordinary one.
        torch.set_flush_denormal(True)
        # What cannot be opened is told by the error; torch would print its traceback besides.
        logging.getLogger("torch.export").setLevel(logging.ERROR)
        extra = {"description.json": ""}
        self._network = torch.export.load(file, extra_files=extra).module()
        self.description: str = extra["description.json"]

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Log probabilities (n, classes) float32 of pixels (n, size, size, 3) uint8."""
        with torch.no_grad():
            output = self._network(torch.from_numpy(pixels))
        return np.asarray(output.numpy())


def _refuse_pickle(file: Path) -> None:
    """Raise ValueError for an archive in which torch would unpickle something.

    A bundle's archive holds its graph as JSON and its weights as plain bytes.
    """
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename
            pickled = name.endswith((".pt", ".pkl")) and entry.file_size > 0
            if name.endswith("_config.json"):
                listed = json.loads(archive.read(entry))["config"].values()
                pickled = any(
                    payload["use_pickle"] or not payload["path_name"].startswith(_PLAIN)
                    for payload in listed
                )
            if pickled or "serialized_" in name:
                raise ValueError(f"{name} in the archive is pickled, which no bundle's file is")


_PLAIN = ("weight_", "tensor_")
