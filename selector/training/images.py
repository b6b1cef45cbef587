"""Normalised batches of one split's images on the device of the network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selector.data.normalize import normalize
from selector.records import Bytes, Preprocessing

RESIDENT_SHARE = 0.25  # of the free device memory that pixels may take


class Images:
    """The images of a split, read by index.

    On a GPU with room for them the pixels are copied there once; elsewhere each batch is read from
    the memory-mapped file.
    """

    def __init__(self, pixels: Bytes, preprocessing: Preprocessing, device: torch.device) -> None:
        self._pixels = pixels
        self._preprocessing = preprocessing
        self._device = device
        self._resident = _resident(pixels, device)

    def __len__(self) -> int:
        return len(self._pixels)

    def batch(self, indices: Tensor) -> Tensor:
        """Normalised images (batch, 3, height, width) of `indices` (batch,), channels last."""
        if self._resident is not None:
            chosen = self._resident[indices.to(self._device)]
        else:
            # Indexing with an array copies out of the read-only map into memory torch may own.
            chosen = torch.from_numpy(np.asarray(self._pixels[indices.numpy()])).to(self._device)
        return normalize(chosen, self._preprocessing)


def _resident(pixels: Bytes, device: torch.device) -> Tensor | None:
    if device.type != "cuda":
        return None
    free_bytes, _ = torch.cuda.mem_get_info(device)
    if pixels.nbytes > RESIDENT_SHARE * free_bytes:
        return None
    return torch.from_numpy(np.array(pixels)).to(device)
