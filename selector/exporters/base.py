"""The seam of exporters: a trained network in, one file of a bundle out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from selector.data.normalize import normalize
from selector.predict import Predictor
from selector.records import Preprocessing
from selector.tasks import Task
from selector.training import Network

EXAMPLE_BATCH = 2  # a batch of one would be taken for a fixed size


class ShippedNetwork(nn.Module):
    """Pixels (batch, size, size, 3) uint8 to log probabilities (batch, classes) float32.

    Normalisation is inside, so that whoever runs the file cannot get it wrong.
    """

    def __init__(self, network: Network, preprocessing: Preprocessing, task: Task) -> None:
        super().__init__()
        self.stages = network.backbone.stages
        self.head = network.head
        self.preprocessing = preprocessing
        self.task = task

    def forward(self, pixels: Tensor) -> Tensor:
        """Log probabilities of images."""
        x = normalize(pixels, self.preprocessing)
        for stage in self.stages:
            x = stage(x)
        return self.task.log_probabilities(self.head(x))

    def example(self) -> Tensor:
        """Pixels of the shape that the network takes, (2, size, size, 3) uint8."""
        size = self.preprocessing.size
        return torch.zeros((EXAMPLE_BATCH, size, size, 3), dtype=torch.uint8)


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is exported: a network on the CPU in float32, and what it was made for."""

    backbone: str
    network: Network
    shipped: ShippedNetwork
    preprocessing: Preprocessing
    class_names: tuple[str, ...]

    def description(self) -> str:
        """What the network's file says of itself, as JSON; bundle.json must agree with it."""
        return json.dumps(
            {
                "class_names": list(self.class_names),
                "preprocessing": preprocessing_to_plain(self.preprocessing),
            }
        )


class Exporter(Protocol):
    """One format of the network's file."""

    file: str  # its name in the bundle
    normalised_by: str  # who normalises, for the reader of bundle.json

    def requirements(self, shipment: Shipment) -> Sequence[str]:
        """The packages a consumer needs besides numpy and Pillow."""
        ...

    def write(self, shipment: Shipment, path: Path) -> Mapping[str, Any]:
        """Write the file; gives what its runtime needs to find in bundle.json besides.

        UnavailableError where a package is missing, InputError where the network has no form in
        this format.
        """
        ...


def shipment_of(predictor: Predictor, *, backbone: str) -> Shipment:
    """What a predictor predicts with, for exporters."""
    # Weights in the ordinary order of their dimensions, which every format can hold.
    network = predictor.network.eval().to(memory_format=torch.contiguous_format)
    preprocessing = predictor.preprocessing
    shipped = ShippedNetwork(network, preprocessing, predictor.task).eval()
    return Shipment(backbone, network, shipped, preprocessing, predictor.class_names)


def preprocessing_to_plain(preprocessing: Preprocessing) -> dict[str, Any]:
    """As JSON has it."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(preprocessing)))
    return plain
