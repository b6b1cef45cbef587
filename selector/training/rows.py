"""Outputs of frozen stages as rows: one flat row a sample, and the way back to a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from selector.training.batches import Cut, whole
from selector.training.transfer import deliver, send


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape and memory order of one sample's output, without the batch.

    Kept exactly, since the layers that follow round differently for another memory order.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """The layout of a batch; contiguous where a sample's numbers do not lie side by side."""
        shape, strides = tuple(features.shape[1:]), tuple(features.stride()[1:])
        if not _dense(shape, strides):
            strides = tuple(torch.empty(shape, device="meta").stride())
        return cls(shape, strides)

    @property
    def elements(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape)

    def flatten(self, features: Tensor) -> Tensor:
        """Contiguous rows (batch, elements) of features (batch, ...), in the order of memory."""
        order = sorted(range(len(self.shape)), key=lambda axis: -self.strides[axis])
        rows = features.permute(0, *(axis + 1 for axis in order)).reshape(len(features), -1)
        return rows.contiguous()  # a class token is a slice of a longer sample

    def restore(self, rows: Tensor) -> Tensor:
        """Features (batch, ...) of contiguous rows (batch, elements): the same bits and strides."""
        return rows.as_strided((len(rows), *self.shape), (self.elements, *self.strides))


class Rows(Protocol):
    """Rows of all samples of a split, wherever they lie."""

    @property
    def bytes(self) -> int:
        """The memory of the device, or of this process alone, that they take."""
        ...

    @property
    def prefetched(self) -> bool:
        """Whether reading rows is worth doing ahead, in another thread."""
        ...

    def take(self, indices: Tensor) -> Tensor:
        """Rows (batch, elements) of the samples `indices` (batch,); a copy."""
        ...


@dataclass(frozen=True)
class MemoryRows:
    """Rows (samples, elements) in the memory of the device."""

    rows: Tensor
    prefetched: bool = False

    @property
    def bytes(self) -> int:
        """The memory they take."""
        return self.rows.nbytes

    def take(self, indices: Tensor) -> Tensor:
        """The rows of some samples."""
        return self.rows.index_select(0, send(indices, self.rows.device))


@dataclass(frozen=True)
class StoredPrefix:
    """The frozen stages' outputs of every view of every sample, computed before.

    `view_of` says which view to show of each sample; None shows the only one.
    """

    views: tuple[Rows, ...]
    layout: Layout
    device: torch.device
    view_of: Callable[[Tensor], Tensor] | None = None

    @property
    def bytes(self) -> int:
        """The memory that all views take."""
        return sum(view.bytes for view in self.views)

    def showing(self, view_of: Callable[[Tensor], Tensor]) -> StoredPrefix:
        """The same with a choice of views."""
        return replace(self, view_of=view_of if len(self.views) > 1 else None)

    def features(self, indices: Tensor) -> Tensor:
        """The stored output of the samples, in the memory order in which it was computed."""
        return self.layout.restore(send(self._gather(indices), self.device))

    def stream(self, batches: Sequence[Tensor], cut: Cut = whole) -> Generator[Tensor, None, None]:
        """`features` of batch after batch; read ahead where that helps."""
        batches = [cut(batch) for batch in batches]
        ahead = any(view.prefetched for view in self.views)
        with closing(deliver(self._gather, batches, device=self.device, ahead=ahead)) as rows:
            yield from map(self.layout.restore, rows)

    def _gather(self, indices: Tensor) -> Tensor:
        if self.view_of is None:
            return self.views[0].take(indices)
        chosen = self.view_of(indices)
        places = [torch.nonzero(chosen == number).flatten() for number in range(len(self.views))]
        parts = [view.take(indices[place]) for view, place in zip(self.views, places, strict=True)]
        if len({part.device for part in parts}) > 1:
            parts = [send(part, self.device) for part in parts]
        # The parts stand one view after the other; sorting their places undoes that.
        back = torch.cat(places).argsort()
        rows = torch.cat(parts)
        return rows.index_select(0, send(back, rows.device))


def _dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the strides fill memory without gaps or overlaps."""
    expected = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True
