"""What the formats share that trace a network into a graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from selector.errors import InputError


def batch_of_any_size() -> tuple[dict[int, Any]]:
    """The first dimension of the only input may have any size."""
    return ({0: torch.export.Dim("batch", min=1)},)


@contextmanager
def in_this_format(name: str, backbone: str) -> Iterator[None]:
    """Quiet around an exporter; InputError where it cannot express a network."""
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise InputError(
            f"'{backbone}' cannot be exported as {name}: {reason}. "
            "Use another format: --format safetensors."
        ) from error
    finally:
        loud.setLevel(level)
