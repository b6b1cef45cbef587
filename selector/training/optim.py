"""The optimizer of a network, its learning rates, and the weights of the classes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from selector.backbones.base import STAGES
from selector.records import Ints, Recipe
from selector.training.network import Network


def build_optimizer(network: Network, recipe: Recipe, *, device: torch.device) -> Optimizer:
    """AdamW, or SGD with Nesterov momentum, over the trained weights.

    The head learns at `lr`, stage i (0..4) at `lr * layer_decay ** (5 - i)`. Biases and the
    weights of normalisation layers do not decay. Each group knows its `name` and `base_lr`.
    """
    groups = list(_parameter_groups(network, recipe))
    # The fused step is one kernel instead of one for each weight and operation.
    fused = device.type in ("cpu", "cuda", "mps")
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, fused=fused)
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused
    )


def set_learning_rates(optimizer: Optimizer, factor: float) -> None:
    """Scale every group's own learning rate by the schedule's factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def schedule_factor(
    step: int,
    total_steps: int,
    *,
    warmup_steps: int,
    schedule: Literal["cosine", "constant"],
) -> float:
    """The share of the learning rate at a step (0-based): linear warm-up, then cosine to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def balanced_class_weights(labels: Ints, n_classes: int) -> Tensor:
    """Weights (classes,) under which every class counts the same: n / (classes * count)."""
    counts = np.bincount(labels, minlength=n_classes)
    # A class without a training sample never meets its weight.
    weights = len(labels) / (n_classes * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32)


def _parameter_groups(network: Network, recipe: Recipe) -> Iterator[dict[str, Any]]:
    for depth, (name, part) in enumerate(network.trained_parts(), start=network.freeze_depth):
        lr = recipe.lr * recipe.layer_decay ** (STAGES - depth)
        yield from _groups_of(name, part, lr, recipe.weight_decay)


def _groups_of(name: str, part: nn.Module, lr: float, decay: float) -> Iterator[dict[str, Any]]:
    trained = [p for p in part.parameters() if p.requires_grad]
    # Biases and normalisation weights are the vectors among the weights.
    for kind, weight_decay, chosen in (
        ("weights", decay, [p for p in trained if p.dim() > 1]),
        ("vectors", 0.0, [p for p in trained if p.dim() <= 1]),
    ):
        if chosen:
            yield {
                "name": f"{name}.{kind}",
                "params": chosen,
                "base_lr": lr,
                "lr": lr,
                "weight_decay": weight_decay,
            }
