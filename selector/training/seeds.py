"""Independent random streams of one trial, all derived from its one seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What a random stream is for."""

    ORDER = 0
    AUGMENT = 1
    LAYERS = 2  # dropout and stochastic depth


def derive(seed: int, stream: Stream, *, epoch: int, rank: int = 0) -> int:
    """The seed of one stream in one epoch, of one rank; near seeds give unrelated streams."""
    # SeedSequence takes no negative numbers; the mask maps them into its range.
    words = [seed & 0xFFFF_FFFF_FFFF_FFFF, int(stream), epoch, *([rank] if rank else [])]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, stream: Stream, *, epoch: int) -> torch.Generator:
    """A CPU generator of one stream: the same numbers on every device."""
    return torch.Generator().manual_seed(derive(seed, stream, epoch=epoch))


@contextmanager
def seeded_layers(seed: int, device: torch.device, *, epoch: int, rank: int = 0) -> Iterator[None]:
    """Seed torch's global generators for one epoch, and give them back as they were.

    Dropout draws from the global generator; left seeded, it would tie the caller's own draws to
    the trial.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive(seed, Stream.LAYERS, epoch=epoch, rank=rank))
        yield
