"""What `torch.compile` costs and saves in a trial."""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence

import torch

from benchmarks import pictures
from benchmarks.networks import TASK, network_of, recipe_of
from selector import metrics
from selector.records import EpochResult, TrainingData
from selector.training import train

EPOCHS = 4  # the first one compiles, the others are timed


def measure(device: torch.device, options: argparse.Namespace) -> None:
    """Print a table: a trial's suffix as it is and compiled, at each freeze depth."""
    data = pictures.generated(options.compile_images, size=options.size)
    print(
        f"\ncompile: {options.small}, {options.compile_images} images at {options.size} px, "
        f"batch {options.batch}, seconds an epoch with validation: median of {EPOCHS - 1}"
    )
    print(
        f"{'depth':>5} {'mode':<16}{'compile s':>10}{'eager':>9}{'compiled':>10}"
        f"{'break-even epochs':>19}  F1 eager, compiled"
    )
    for depth in options.depths:
        eager = _epochs(data, depth, device, options, mode=None)
        for mode in options.modes:
            compiled = _epochs(data, depth, device, options, mode=mode)
            _print(depth, mode, eager, compiled)


def _print(
    depth: int, mode: str, eager: Sequence[EpochResult], compiled: Sequence[EpochResult]
) -> None:
    before, after = _steady(eager), _steady(compiled)
    # What else the first epoch does once, both arms do.
    cost = (compiled[0].seconds - after) - (eager[0].seconds - before)
    even = cost / (before - after) if after < before else math.inf
    scores = ", ".join(
        f"{float(metrics.from_confusion('f1_macro', arm[-1].confusion)):.4f}"
        for arm in (eager, compiled)
    )
    print(f"{depth:>5} {mode:<16}{cost:>10.1f}{before:>9.3f}{after:>10.3f}{even:>19.1f}  {scores}")


def _epochs(
    data: TrainingData,
    depth: int,
    device: torch.device,
    options: argparse.Namespace,
    *,
    mode: str | None,
) -> Sequence[EpochResult]:
    """A trial's epochs; `mode` None does not compile."""
    recipe = recipe_of(
        options.small, depth, size=options.size, device=device, batch=options.batch, epochs=EPOCHS
    )
    network = network_of(options.small, depth, size=options.size)
    if mode is not None:
        torch.compiler.reset()  # what another depth compiled must not be found
        network.suffix = torch.compile(network.suffix, mode=mode)
    return list(train(network, data, recipe, device=device, task=TASK))


def _steady(epochs: Sequence[EpochResult]) -> float:
    return statistics.median(epoch.seconds for epoch in epochs[1:])
