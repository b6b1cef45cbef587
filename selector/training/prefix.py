"""Where the trained part of a network gets its inputs from: the frozen part's outputs by sample.

A frozen prefix is a pure function of the image. Where a sample is one of few images in every
epoch, its outputs are computed once and stored; elsewhere they are computed for every batch.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from selector.training import augment, precision
from selector.training.batches import Cut, sequential_batches, whole
from selector.training.images import Images
from selector.training.memory import device_room, is_out_of_memory
from selector.training.network import Network
from selector.training.portions import Portion, in_portions
from selector.training.precision import Precision
from selector.training.rows import Layout, MemoryRows, StoredPrefix
from selector.training.seeds import Stream, generator

FILL_BATCH = 64  # evaluation's batch too: results depend on it in the last bits
HOLD_BYTES = 2 * 2**30


class PrefixSource(Protocol):
    """Gives the inputs of a network's suffix."""

    def features(self, indices: Tensor) -> Tensor:
        """The prefix's output for the samples `indices` (batch,), on the network's device."""
        ...

    def stream(self, batches: Sequence[Tensor], cut: Cut = whole) -> Generator[Tensor, None, None]:
        """`features` of batch after batch, of those samples that `cut` takes of each."""
        ...


@dataclass(frozen=True)
class ComputedPrefix:
    """Runs the prefix on every batch that is asked for, on one enumerated view of the images."""

    network: Network
    images: Images
    precision: Precision
    device: torch.device
    view: int = 0
    portion: Portion = field(default_factory=Portion)

    def inputs(self, indices: Tensor) -> Tensor:
        """The view (batch, 3, height, width) of the images that the prefix takes."""
        return augment.view(self.images.batch(indices), self.view)

    def features(self, indices: Tensor) -> Tensor:
        """The prefix's output for the view."""
        return self.run(self.inputs(indices))

    def stream(self, batches: Sequence[Tensor], cut: Cut = whole) -> Generator[Tensor, None, None]:
        """`features` of batch after batch."""
        with closing(self.images.stream([cut(batch) for batch in batches])) as stream:
            for images in stream:
                yield self.run(augment.view(images, self.view))

    def run(self, views: Tensor) -> Tensor:
        """The prefix's output for views (batch, 3, height, width) of images."""
        return run_prefix(self.network, views, self.precision, self.portion)


class AugmentedPrefix:
    """Runs the prefix on this epoch's views of the images; made anew for each epoch."""

    def __init__(
        self,
        computed: ComputedPrefix,
        name: str,
        *,
        seed: int,
        epoch: int,
        draws: torch.Generator | None = None,
    ) -> None:
        self._computed = computed
        self._name = name
        self._epoch = epoch
        self._generator = draws or generator(seed, Stream.AUGMENT, epoch=epoch)

    def features(self, indices: Tensor) -> Tensor:
        """The prefix's output for one view of each image; the order of calls matters."""
        return self._augmented(indices, self._computed.images.batch(indices))

    def stream(self, batches: Sequence[Tensor], cut: Cut = whole) -> Generator[Tensor, None, None]:
        """`features` of batch after batch.

        Views are drawn for whole batches, so that they do not depend on what is taken of them.
        """
        with closing(self._computed.images.stream(batches)) as stream:
            for indices, images in zip(batches, stream, strict=True):
                yield self._augmented(indices, images, cut)

    def _augmented(self, indices: Tensor, images: Tensor, cut: Cut = whole) -> Tensor:
        views = augment.apply(
            self._name,
            images,
            generator=self._generator,
            epoch=self._epoch,
            indices=indices,
        )
        return self._computed.run(cut(views))


def run_prefix(
    network: Network, images: Tensor, precision_: Precision, portion: Portion | None = None
) -> Tensor:
    """The prefix's output for normalised images (batch, 3, height, width).

    What memory has no room for at once, `portion` bounds.
    """
    with precision.autocast(precision_, images.device):
        return in_portions(network.prefix, images, portion or Portion())


def hold(computed: ComputedPrefix, *, limit_bytes: int) -> StoredPrefix | None:
    """The prefix's output of all samples; None where that would take more than `limit_bytes`.

    None too where a GPU has no room for it, since the outputs can always be computed by batch.
    It is computed in the batches that evaluation and the prefix cache use, so that the three agree
    bit by bit on a CPU.
    """
    rows: Tensor | None = None
    layout: Layout | None = None
    done = 0
    with closing(computed.stream(sequential_batches(len(computed.images), FILL_BATCH))) as stream:
        for features in stream:
            if rows is None or layout is None:
                layout = Layout.of(features)
                rows = _room_for(features, layout, len(computed.images), limit_bytes=limit_bytes)
                if rows is None:
                    return None
            rows[done : done + len(features)] = layout.flatten(features)
            done += len(features)
    if rows is None or layout is None:
        return None
    return StoredPrefix((MemoryRows(rows),), layout, computed.device)


def _room_for(features: Tensor, layout: Layout, samples: int, *, limit_bytes: int) -> Tensor | None:
    """Empty rows for all samples; None where they would take too much."""
    needed = samples * layout.elements * features.element_size()
    if needed > min(limit_bytes, device_room(features.device)):
        return None
    try:
        return features.new_empty((samples, layout.elements))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
