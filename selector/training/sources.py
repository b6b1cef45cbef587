"""Which prefix source each split of a trial reads from."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from selector.records import Recipe, SplitImages, TrainingData
from selector.training.images import Images
from selector.training.network import Network
from selector.training.prefix import AugmentedPrefix, ComputedPrefix, PrefixSource, hold


@dataclass(frozen=True)
class Sources:
    """The inputs of the suffix for training and for validation."""

    validation: PrefixSource
    n_validation: int
    plain_train: PrefixSource
    views: ComputedPrefix | None  # set where every epoch sees other views of the images
    augment: str
    seed: int

    def train(self, epoch: int) -> PrefixSource:
        """What this epoch trains on."""
        if self.views is None:
            return self.plain_train
        return AugmentedPrefix(self.views, self.augment, seed=self.seed, epoch=epoch)


def open_sources(
    network: Network,
    data: TrainingData,
    recipe: Recipe,
    *,
    device: torch.device,
    hold_bytes: int,
) -> Sources:
    """Sources for a trial, with the frozen stages' outputs held where they fit `hold_bytes`.

    Validation images never change, so theirs are held even under augmentation, and first.
    """

    def computed(split: SplitImages) -> ComputedPrefix:
        images = Images(split.images, network.backbone.preprocessing, device)
        return ComputedPrefix(network, images, recipe.precision, device)

    train, validation = computed(data.train), computed(data.validation)
    augmented = recipe.augment != "none"
    held_validation = held_train = None
    if network.freeze_depth > 0:
        held_validation = hold(validation, limit_bytes=hold_bytes)
        left = hold_bytes - (held_validation.bytes if held_validation else 0)
        held_train = None if augmented else hold(train, limit_bytes=left)
    return Sources(
        validation=held_validation or validation,
        n_validation=len(data.validation.labels),
        plain_train=held_train or train,
        views=train if augmented else None,
        augment=recipe.augment,
        seed=recipe.seed,
    )
