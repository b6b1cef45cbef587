"""Where the trained part of a network gets its inputs from: the frozen part's outputs by sample.

A frozen prefix is a pure function of the image. Where the image is the same in every epoch, its
output is computed once for the trial and held; elsewhere it is computed for every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from selector.training import augment, precision
from selector.training.batches import sequential_batches
from selector.training.images import Images
from selector.training.network import Network
from selector.training.precision import Precision
from selector.training.seeds import Stream, generator

FILL_BATCH = 64  # evaluation's batch too: results depend on it in the last bits
HOLD_BYTES = 2 * 2**30


class PrefixSource(Protocol):
    """Gives the inputs of a network's suffix."""

    def features(self, indices: Tensor) -> Tensor:
        """The prefix's output for the samples `indices` (batch,), on the network's device."""
        ...


@dataclass(frozen=True)
class ComputedPrefix:
    """Runs the prefix on every batch that is asked for."""

    network: Network
    images: Images
    precision: Precision
    device: torch.device

    def features(self, indices: Tensor) -> Tensor:
        """The prefix's output for the images as they are."""
        return run_prefix(self.network, self.images.batch(indices), self.precision)


class AugmentedPrefix:
    """Runs the prefix on this epoch's views of the images; made anew for each epoch."""

    def __init__(self, computed: ComputedPrefix, name: str, *, seed: int, epoch: int) -> None:
        self._computed = computed
        self._name = name
        self._epoch = epoch
        self._generator = generator(seed, Stream.AUGMENT, epoch=epoch)

    def features(self, indices: Tensor) -> Tensor:
        """The prefix's output for one view of each image; the order of calls matters."""
        views = augment.apply(
            self._name,
            self._computed.images.batch(indices),
            generator=self._generator,
            epoch=self._epoch,
            indices=indices,
        )
        return run_prefix(self._computed.network, views, self._computed.precision)


class HeldPrefix:
    """The prefix's output of every sample, computed once and kept in the device's memory."""

    def __init__(self, rows: Tensor, *, channels_last: bool) -> None:
        self._rows = rows  # (samples, ...); channels last where the prefix gave it so
        self._channels_last = channels_last

    @property
    def bytes(self) -> int:
        """The memory it holds."""
        return self._rows.nbytes

    def features(self, indices: Tensor) -> Tensor:
        """The held output of the samples, in the memory order in which it was computed."""
        chosen = self._rows[indices.to(self._rows.device)]
        return chosen.permute(0, 3, 1, 2) if self._channels_last else chosen


def run_prefix(network: Network, images: Tensor, precision_: Precision) -> Tensor:
    """The prefix's output for normalised images (batch, 3, height, width)."""
    with precision.autocast(precision_, images.device):
        return network.prefix(images)


def hold(computed: ComputedPrefix, *, limit_bytes: int) -> HeldPrefix | None:
    """The prefix's output of all samples; None where that would take more than `limit_bytes`."""
    rows: Tensor | None = None
    channels_last = False
    for indices in sequential_batches(len(computed.images), FILL_BATCH):
        features = computed.features(indices)
        if rows is None:
            channels_last = _is_channels_last(features)
            shape = features.permute(0, 2, 3, 1).shape if channels_last else features.shape
            rows = features.new_empty((len(computed.images), *shape[1:]))
            if rows.nbytes > limit_bytes:
                return None
        rows[indices[0] : indices[-1] + 1] = (
            features.permute(0, 2, 3, 1) if channels_last else features
        )
    return None if rows is None else HeldPrefix(rows, channels_last=channels_last)


def _is_channels_last(features: Tensor) -> bool:
    return features.dim() == 4 and features.is_contiguous(memory_format=torch.channels_last)
