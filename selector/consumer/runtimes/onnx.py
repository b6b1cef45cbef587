"""Runs network.onnx with onnxruntime: uint8 pixels in, log probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class Runtime:
    """The network of a bundle; normalisation is part of its graph."""

    def __init__(self, file: Path, bundle: Mapping[str, Any], threads: int | None) -> None:
        del bundle  # the graph holds all that it needs
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: as many as there are cores
        # As in training; denormal numbers cost a processor many times an ordinary one.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self._session = onnxruntime.InferenceSession(
            file.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.description: str = metadata.get("description", "")

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Log probabilities (n, classes) float32 of pixels (n, size, size, 3) uint8."""
        (output,) = self._session.run(["log_probabilities"], {"pixels": pixels})
        return np.asarray(output)
