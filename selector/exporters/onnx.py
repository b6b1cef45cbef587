"""The whole computation as ONNX; the consumer needs onnxruntime and no torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from selector.errors import UnavailableError
from selector.exporters.base import Shipment
from selector.exporters.graphs import batch_of_any_size, in_this_format

_NEEDED = ("onnx", "onnxscript", "onnxruntime")


class OnnxExporter:
    """network.onnx: input `pixels`, output `log_probabilities`, weights inside."""

    file = "network.onnx"
    normalised_by = "the graph"

    def requirements(self, shipment: Shipment) -> Sequence[str]:
        """onnxruntime alone."""
        del shipment
        return ("onnxruntime",)

    def write(self, shipment: Shipment, path: Path) -> Mapping[str, Any]:
        """Trace the network and write it."""
        _require_packages()
        with torch.no_grad(), in_this_format("onnx", shipment.backbone):
            program: Any = torch.onnx.export(
                shipment.shipped,
                (shipment.shipped.example(),),
                dynamo=True,
                dynamic_shapes=batch_of_any_size(),
                input_names=["pixels"],
                output_names=["log_probabilities"],
                verbose=False,
            )
        program.model.metadata_props["description"] = shipment.description()
        program.save(path, external_data=False)
        return {}


def _require_packages() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"The format onnx needs the packages {', '.join(missing)}. "
            "Install them: pip install 'selector-finetune[export]'."
        )
