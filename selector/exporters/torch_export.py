"""The whole computation as a torch.export archive; the consumer needs torch and nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from selector.exporters.base import Shipment
from selector.exporters.graphs import batch_of_any_size, in_this_format


class TorchExporter:
    """network.pt2: a graph as JSON and weights as plain bytes; no part of it is pickled."""

    file = "network.pt2"
    normalised_by = "the graph"

    def requirements(self, shipment: Shipment) -> Sequence[str]:
        """torch alone."""
        del shipment
        return ("torch",)

    def write(self, shipment: Shipment, path: Path) -> Mapping[str, Any]:
        """Trace the network and write it."""
        with torch.no_grad(), in_this_format("torch_export", shipment.backbone):
            program = torch.export.export(
                shipment.shipped,
                (shipment.shipped.example(),),
                dynamic_shapes=batch_of_any_size(),
            )
        program.example_inputs = None  # the one thing that torch would pickle
        torch.export.save(program, path, extra_files={"description.json": shipment.description()})
        return {}
