"""Which samples go together: the order of an epoch and its cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from selector.training.seeds import Stream, generator

Cut = Callable[[Tensor], Tensor]  # some of a batch's samples, in order


def whole(batch: Tensor) -> Tensor:
    """All of a batch."""
    return batch


def epoch_order(n: int, *, seed: int, epoch: int) -> Tensor:
    """The samples 0..n-1 in this epoch's order, (n,) int64 on the CPU."""
    return torch.randperm(n, generator=generator(seed, Stream.ORDER, epoch=epoch))


def training_batches(order: Tensor, batch_size: int) -> Sequence[Tensor]:
    """`order` in batches; a last batch of one sample joins the one before.

    Batch normalisation has no variance to train on with one sample, and dropping it would lose
    data.
    """
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def sequential_batches(n: int, batch_size: int) -> Sequence[Tensor]:
    """The samples 0..n-1 in order, cut into batches; the last may be smaller."""
    return torch.split(torch.arange(n), batch_size)
