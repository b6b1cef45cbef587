"""What `torch.compile` costs and saves in a trial."""

from __future__ import annotations

import argparse
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks import pictures
from benchmarks.networks import TASK, network_of, recipe_of
from selector import metrics
from selector.records import TrainingData
from selector.training import train

EPOCHS = 4  # the first one compiles, the others are timed


@dataclass(frozen=True)
class Trial:
    """Seconds of each epoch with its validation, and the F1 of the last."""

    wall: Sequence[float]
    cpu: Sequence[float]
    f1: float


def measure(device: torch.device, options: argparse.Namespace) -> None:
    """Print a table: a trial's suffix as it is and compiled, at each freeze depth.

    CPU seconds count compilers too, if TORCHINDUCTOR_COMPILE_THREADS=1 keeps them out of a pool.
    """
    data = pictures.generated(options.compile_images, size=options.size)
    print(
        f"\ncompile: {options.small}, {options.compile_images} images at {options.size} px, "
        f"batch {options.batch}, seconds an epoch with validation: median of {EPOCHS - 1}"
    )
    print(
        f"{'depth':>5} {'mode':<16}{'clock':<6}{'compile s':>10}{'eager':>9}{'compiled':>10}"
        f"{'break-even epochs':>19}  F1 eager, compiled",
        flush=True,
    )
    for depth in options.depths:
        eager = _trial(data, depth, device, options, mode=None)
        for mode in options.modes:
            compiled = _trial(data, depth, device, options, mode=mode)
            scores = f"{eager.f1:.4f}, {compiled.f1:.4f}"
            for clock in ("wall", "cpu"):
                row = _row(getattr(eager, clock), getattr(compiled, clock))
                print(f"{depth:>5} {mode:<16}{clock:<6}{row}  {scores}", flush=True)


def _row(eager: Sequence[float], compiled: Sequence[float]) -> str:
    before, after = statistics.median(eager[1:]), statistics.median(compiled[1:])
    # What else the first epoch does once, both arms do.
    cost = (compiled[0] - after) - (eager[0] - before)
    even = cost / (before - after) if after < before else math.inf
    return f"{cost:>10.1f}{before:>9.3f}{after:>10.3f}{even:>19.1f}"


def _trial(
    data: TrainingData,
    depth: int,
    device: torch.device,
    options: argparse.Namespace,
    *,
    mode: str | None,
) -> Trial:
    """A trial's epochs; `mode` None does not compile."""
    recipe = recipe_of(
        options.small, depth, size=options.size, device=device, batch=options.batch, epochs=EPOCHS
    )
    network = network_of(options.small, depth, size=options.size)
    if mode is not None:
        torch.compiler.reset()  # what another depth compiled must not be found
        network.suffix = torch.compile(network.suffix, mode=mode)
    wall, cpu, f1, started = [], [], 0.0, _cpu_seconds()
    for epoch in train(network, data, recipe, device=device, task=TASK):
        wall.append(epoch.seconds)
        cpu.append(_cpu_seconds() - started)
        f1 = float(metrics.from_confusion("f1_macro", epoch.confusion))
        started = _cpu_seconds()
    return Trial(wall, cpu, f1)


def _cpu_seconds() -> float:
    """CPU seconds so far of this process and of processes of its that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
