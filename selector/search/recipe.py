"""From a trial's parameters to everything its training needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selector import backbones
from selector.records import Preprocessing, Recipe, Scalar, TrainingData
from selector.spec import StudySpec
from selector.tasks import Task
from selector.training import Network, precision


@dataclass(frozen=True, slots=True)
class Untrained:
    """A network before its first step, and what it is trained on."""

    network: Network
    data: TrainingData


def untrained(
    recipe: Recipe,
    weights: str,
    *,
    decode: Callable[[Preprocessing], TrainingData],
    task: Task,
) -> Untrained:
    """What a recipe begins with: the same in every process, bit by bit."""
    backbone = backbones.load(
        recipe.backbone, weights=weights, image_size=recipe.image_size, seed=recipe.seed
    )
    data = decode(backbone.preprocessing)
    head = task.head(backbone.feature_dim, len(data.class_names), seed=recipe.seed)
    return Untrained(Network(backbone, head, freeze_depth=recipe.freeze_depth), data)


def recipe_of(
    params: Mapping[str, Scalar], spec: StudySpec, *, epochs: int, device: torch.device
) -> Recipe:
    """The trial's recipe: its parameters and what the study file sets for all trials.

    The seed is the study's for every trial, so candidates are compared under the same draw of the
    head and the same order of the data.
    """
    chosen: dict[str, Any] = dict(params)
    return Recipe(
        **chosen,
        epochs=epochs,
        class_weights=spec.training.class_weights,
        clip_norm=spec.training.clip_norm,
        precision=precision.resolve(spec.training.precision, device),
        seed=spec.seed,
    )


def weights_of(spec: StudySpec, backbone: str, *, base: Path) -> str:
    """Which weights a backbone starts from: "pretrained", "random", or the path of a file.

    A path may be written `file:PATH`; relative ones are read from `base`, the study file's folder.
    """
    block = spec.backbones.get(backbone)
    weights = block.weights if block is not None and block.weights else spec.weights
    if weights in ("pretrained", "random"):
        return weights
    return str((base / Path(weights.removeprefix("file:")).expanduser()).resolve())
