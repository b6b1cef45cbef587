"""Rows that stay in their file: read by index, through the memory that all processes share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from selector.training.memory import device_room, is_out_of_memory
from selector.training.rows import MemoryRows, Rows


@dataclass(frozen=True)
class MappedRows:
    """Rows of a mapped file. `sequential` reads in the order of the file: for more than memory."""

    rows: Tensor  # (samples, elements)
    sequential: bool
    pinned: bool  # for a GPU, which copies from such memory while it computes
    bytes: int = 0  # the page cache belongs to everybody, and gives way

    @property
    def prefetched(self) -> bool:
        """A GPU need not wait for the disk."""
        return self.pinned

    def take(self, indices: Tensor) -> Tensor:
        """The rows of some samples, in the host's memory."""
        shape = (len(indices), self.rows.shape[1])
        taken = torch.empty(shape, dtype=self.rows.dtype, pin_memory=self.pinned)
        if not self.sequential:
            return torch.index_select(self.rows, 0, indices, out=taken)
        order = indices.argsort()
        taken[order] = self.rows.index_select(0, indices[order])
        return taken


def place_rows(rows: Tensor, device: torch.device, *, resident_bytes: int) -> Rows:
    """The rows of a mapped file where training reads them fastest.

    In a GPU's memory where they take no more than `resident_bytes` and it has room for them. On a
    CPU the map itself is memory, shared with the other workers.
    """
    fits = rows.nbytes <= min(resident_bytes, device_room(device))
    if device.type == "cpu":
        return MappedRows(rows, sequential=not fits, pinned=False)
    if fits:
        try:
            return MemoryRows(rows.to(device))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):  # another worker was faster: read from the file
                raise
    return MappedRows(rows, sequential=True, pinned=device.type == "cuda")
