"""Weights under the names of their own library, which builds the network again."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from selector import backbones
from selector.backbones import LibraryNetwork
from selector.exporters.base import Shipment
from selector.training import Network

_DISTRIBUTIONS = {"selector": "selector-finetune"}


class SafetensorsExporter:
    """network.safetensors: timm or torchvision loads it as any of its own weights.

    Networks that no library knows (`toy:`) are built by this package, which is then a requirement.
    """

    file = "network.safetensors"
    normalised_by = "runtime.py"

    def requirements(self, shipment: Shipment) -> Sequence[str]:
        """torch, safetensors and the library."""
        library = str(_about(shipment)["library"])
        return ("torch", "safetensors", _DISTRIBUTIONS.get(library, library))

    def write(self, shipment: Shipment, path: Path) -> Mapping[str, Any]:
        """Write the weights; gives how the network is built."""
        form = _form(shipment)
        named = _own_names(shipment.network) if form is None else _names(shipment.network, form)
        plain = {name: tensor.detach().contiguous().clone() for name, tensor in named.items()}
        # Not save_file: it makes a file that only its owner may read.
        path.write_bytes(safetensors.torch.save(plain, {"description": shipment.description()}))
        return {"network": _about(shipment)}


def _about(shipment: Shipment) -> Mapping[str, Any]:
    form = _form(shipment)
    if form is None:
        options = {"image_size": shipment.preprocessing.size}
        return {"library": "selector", "architecture": shipment.backbone, "options": options}
    return {
        "library": form.library,
        "architecture": form.architecture,
        "options": dict(form.options),
    }


def _form(shipment: Shipment) -> LibraryNetwork | None:
    return _library_network(
        shipment.backbone, shipment.preprocessing.size, len(shipment.class_names)
    )


@functools.lru_cache(maxsize=8)
def _library_network(backbone: str, image_size: int, n_classes: int) -> LibraryNetwork | None:
    return backbones.library_network(backbone, image_size=image_size, n_classes=n_classes)


def _names(network: Network, form: LibraryNetwork) -> dict[str, Tensor]:
    """The network's tensors under the library's names; a distilled network has two equal heads."""
    stages = network.backbone.stages.state_dict()
    head = network.head.state_dict()
    return {
        **{form.names[key]: tensor for key, tensor in stages.items()},
        **{f"{name}.{key}": tensor for name in form.heads for key, tensor in head.items()},
    }


def _own_names(network: Network) -> dict[str, Tensor]:
    """The names in a sequence of the stages and the head."""
    stages = network.backbone.stages
    head = network.head.state_dict(prefix=f"{len(stages)}.")
    return {**stages.state_dict(), **head}
