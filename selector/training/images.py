"""Normalised batches of one split's images on the device of the network."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing

import torch
from torch import Tensor

from selector.data.normalize import normalize
from selector.records import Bytes, Preprocessing
from selector.training.mapped import place_rows
from selector.training.memory import device_room
from selector.training.rows import Rows
from selector.training.transfer import deliver, send

RESIDENT_SHARE = 0.5  # of the room on a GPU that pixels may take; the rest is for stored outputs


class Images:
    """The images of a split, read by index.

    On a GPU with room for them the uint8 pixels are copied there once; without, a thread reads
    batches ahead into pinned memory. A CPU reads from the memory-mapped file.
    """

    def __init__(self, pixels: Bytes, preprocessing: Preprocessing, device: torch.device) -> None:
        self._pixels = pixels
        self._preprocessing = preprocessing
        self._device = device

    def __len__(self) -> int:
        return len(self._pixels)

    def batch(self, indices: Tensor) -> Tensor:
        """Normalised images (batch, 3, height, width) of `indices` (batch,), channels last."""
        return self._normalized(send(self._rows.take(indices), self._device))

    def stream(self, batches: Sequence[Tensor]) -> Generator[Tensor, None, None]:
        """`batch` of one after the other; read ahead where the device has to be sent them."""
        rows = deliver(self._rows.take, batches, device=self._device, ahead=self._rows.prefetched)
        with closing(rows):
            yield from map(self._normalized, rows)

    @functools.cached_property
    def _rows(self) -> Rows:
        """The pixels where they are read from, an image a row; placed when first asked for.

        A trial whose frozen stages' outputs are stored never reads them.
        """
        room = int(RESIDENT_SHARE * device_room(self._device))
        return place_rows(_flat(self._pixels), self._device, resident_bytes=room)

    def _normalized(self, rows: Tensor) -> Tensor:
        return normalize(rows.view(-1, *self._pixels.shape[1:]), self._preprocessing)


def _flat(pixels: Bytes) -> Tensor:
    """The pixels in one row an image, (n, height * width * 3); no copy."""
    with warnings.catch_warnings():
        # Torch knows no read-only memory, as that of the map is; nobody writes to it here.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        flat = torch.from_numpy(pixels.reshape(len(pixels), math.prod(pixels.shape[1:])))
    return flat
