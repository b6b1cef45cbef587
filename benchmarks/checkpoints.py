"""What a trial's checkpoint costs: its weights brought together, hashed and on the disk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.networks import network_of
from selector.training import save_checkpoint

BACKBONE = "bundled:efficientnet_lite0"
DEPTHS = (0, 5)  # all weights, and the head's alone


@dataclass(frozen=True)
class Written:
    """Milliseconds of each of several checkpoints of one network, durable when they end."""

    freeze_depth: int
    bytes: int
    milliseconds: tuple[float, ...]


def written(times: int, *, folder: str | None) -> Iterator[Written]:
    """Checkpoints of a network whose stages are all trained, and of one with a head alone.

    A trial writes one, of its best epoch, when it is complete.
    """
    for depth in DEPTHS:
        network = network_of(BACKBONE, depth, size=96)
        milliseconds = []
        with tempfile.TemporaryDirectory(dir=folder) as home:
            for number in range(times):
                started = time.perf_counter()
                saved = save_checkpoint(
                    Path(home) / f"trial-{number:04d}", network.trained_state(), {}
                )
                milliseconds.append(1000 * (time.perf_counter() - started))
        yield Written(depth, saved.bytes, tuple(milliseconds))
