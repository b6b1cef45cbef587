"""What reads a bundle. These files travel inside bundles as they are, so they know nothing of us.

`predict.py` is every bundle's program, and one file of `runtimes/` becomes its `runtime.py`. They
import the standard library, numpy, Pillow and the runtime's own packages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selector.errors import UnknownNameError

FORMATS = ("safetensors", "torch_export", "onnx")
_HERE = Path(__file__).parent

PROGRAM = _HERE / "predict.py"


def load_runtime(name: str) -> Any:
    """The class that runs networks of a format. ImportError where its packages are missing."""
    match name:
        case "safetensors":
            from selector.consumer.runtimes.safetensors import Runtime as Safetensors

            return Safetensors
        case "torch_export":
            from selector.consumer.runtimes.torch_export import Runtime as TorchExport

            return TorchExport
        case "onnx":
            from selector.consumer.runtimes.onnx import Runtime as Onnx

            return Onnx
        case _:
            raise UnknownNameError("bundle format", name, FORMATS)


def runtime_file(name: str) -> Path:
    """The file that becomes a bundle's `runtime.py`."""
    return _HERE / "runtimes" / f"{name}.py"
