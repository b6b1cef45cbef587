"""From a candidate to a bundle: a folder that predicts without this package, and is proven to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selector.consumer import FORMATS
from selector.errors import UnknownNameError

if TYPE_CHECKING:
    from selector.exporters.base import Exporter

DEFAULT = "safetensors"


def load(name: str) -> Exporter:
    """The exporter of a format."""
    match name:
        case "safetensors":
            from selector.exporters.safetensors import SafetensorsExporter

            return SafetensorsExporter()
        case "torch_export":
            from selector.exporters.torch_export import TorchExporter

            return TorchExporter()
        case "onnx":
            from selector.exporters.onnx import OnnxExporter

            return OnnxExporter()
        case _:
            raise UnknownNameError("bundle format", name, FORMATS)


def known() -> tuple[str, ...]:
    """The formats that a bundle can have."""
    return FORMATS
