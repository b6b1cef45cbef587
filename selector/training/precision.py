"""The number format of a trial: full precision, or automatic mixed precision on a GPU."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from selector.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve(precision: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device) -> Precision:
    """The precision to train in on this device.

    `auto` is fp32 off CUDA, and on CUDA bf16 where the GPU computes in it, else fp16.
    """
    on_cuda = device.type == "cuda"
    if precision == "auto":
        if not on_cuda:
            return "fp32"
        return "bf16" if _has_bf16() else "fp16"
    if precision == "fp16" and not on_cuda:
        raise InputError(
            f"Precision 'fp16' needs a CUDA device, not '{device}'. Use 'auto', 'fp32' or 'bf16'."
        )
    if precision == "bf16" and on_cuda and not _has_bf16():
        raise InputError(
            f"The GPU '{torch.cuda.get_device_name(device)}' does not compute in 'bf16'. "
            "Use 'auto', 'fp16' or 'fp32'."
        )
    return precision


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which forward passes run."""
    return torch.autocast(device.type, dtype=_DTYPES[precision], enabled=precision != "fp32")


def grad_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Scales the loss so that fp16 gradients do not vanish; does nothing for the others."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def _has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))
