"""From uint8 pixels to what a network takes; the only module of the package that needs torch."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from selector.records import Preprocessing


def normalize(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Float32 (batch, 3, height, width) in channels_last order, on the device of `images`.

    `images` is (batch, height, width, 3) with values 0..255.
    """
    mean, std = _mean_and_std(preprocessing, images.device)
    # The permuted view already has channels_last strides, and a change of dtype keeps them.
    return images.permute(0, 3, 1, 2).to(torch.float32, copy=True).sub_(mean).div_(std)


@functools.lru_cache(maxsize=64)
def _mean_and_std(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both (3, 1, 1), in units of a pixel; sent once, since that waits for a GPU."""
    mean, std = (
        torch.tensor(values, device=device).view(3, 1, 1) * 255
        for values in (preprocessing.mean, preprocessing.std)
    )
    return mean, std
