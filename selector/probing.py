"""What a trial of a study costs on this machine: one network built, and trained for a moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from selector import backbones
from selector.records import Preprocessing, Recipe, Scalar, SplitName, StepCost
from selector.search.recipe import weights_of
from selector.spec import StudySpec
from selector.spec.domains import AnyDomain, Choice, Fixed
from selector.tasks import Task
from selector.training import Network, measure_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One recipe on one device; `setup_seconds` is the network with its weights, once a trial."""

    cost: StepCost
    setup_seconds: float
    trained_parameters: int
    preprocessing: Preprocessing


def measured_step(
    recipe: Recipe,
    spec: StudySpec,
    *,
    base: Path,
    classes: int,
    device: torch.device,
    task: Task,
) -> Measured:
    """Build the network of a recipe and train it on noise of the study's size, for a moment."""
    started = time.perf_counter()
    backbone = backbones.load(
        recipe.backbone,
        weights=weights_of(spec, recipe.backbone, base=base),
        image_size=recipe.image_size,
        seed=recipe.seed,
    )
    head = task.head(backbone.feature_dim, classes, seed=recipe.seed)
    network = Network(backbone, head, freeze_depth=recipe.freeze_depth)
    trained = network.trained_parameter_count()
    setup_seconds = time.perf_counter() - started
    return Measured(
        cost=measure_step(network, recipe, device=device, task=task),
        setup_seconds=setup_seconds,
        trained_parameters=trained,
        preprocessing=backbone.preprocessing,
    )


def decoded_bytes(counts: Mapping[SplitName, int], size: int) -> int:
    """The pixels of all images that trials see, at one size: uint8, three channels."""
    return (counts["train"] + counts["validation"]) * size * size * 3


def ends(domain: AnyDomain) -> Sequence[Scalar]:
    """The least and the largest number of a domain; a fixed one once."""
    match domain:
        case Fixed(value):
            return (value,)
        case Choice(values):
            return (min(values, key=float), max(values, key=float))
        case _:
            return (domain.low, domain.high)
