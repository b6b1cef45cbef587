"""Which prefix source each split of a trial reads from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch

from selector.records import Recipe, SplitImages, TrainingData
from selector.training import augment
from selector.training.cache import PrefixCache
from selector.training.images import Images
from selector.training.network import Network
from selector.training.portions import Portion
from selector.training.prefix import AugmentedPrefix, ComputedPrefix, PrefixSource, hold
from selector.training.rows import StoredPrefix


@dataclass(frozen=True)
class Sources:
    """The inputs of the suffix for training and for validation."""

    validation: PrefixSource
    n_validation: int
    computed: ComputedPrefix
    stored: StoredPrefix | None  # every view of the training images
    augment: str
    seed: int

    def train(self, epoch: int, draws: torch.Generator | None = None) -> PrefixSource:
        """What this epoch trains on; `draws` replaces the epoch's own stream of random views."""
        if self.stored is not None:
            return self.stored.showing(partial(augment.view_of, self.augment, epoch=epoch))
        if self.augment == "none":
            return self.computed
        return AugmentedPrefix(
            self.computed, self.augment, seed=self.seed, epoch=epoch, draws=draws
        )


def open_sources(
    network: Network,
    data: TrainingData,
    recipe: Recipe,
    *,
    device: torch.device,
    hold_bytes: int,
    prefix_cache: PrefixCache | None = None,
    portion: Portion | None = None,
) -> Sources:
    """Sources for a trial: the frozen stages' outputs from the cache, held in memory, or computed.

    What the cache does not keep is held where it fits `hold_bytes`. Validation images never change,
    so theirs are stored even under random augmentation, and first. What memory has no room for at
    once, `portion` bounds.
    """

    shared = portion or Portion()

    def computed(split: SplitImages) -> ComputedPrefix:
        images = Images(split.images, network.backbone.preprocessing, device)
        return ComputedPrefix(network, images, recipe.precision, device, portion=shared)

    train, validation = computed(data.train), computed(data.validation)
    n_views = augment.enumerated_views(recipe.augment)
    stored_validation = stored_train = None
    if network.freeze_depth > 0:
        stored_validation = _store(
            validation, data.validation, n_views=1, limit_bytes=hold_bytes, cache=prefix_cache
        )
        left = hold_bytes - (stored_validation.bytes if stored_validation else 0)
        if n_views is not None:
            stored_train = _store(
                train, data.train, n_views=n_views, limit_bytes=left, cache=prefix_cache
            )
    return Sources(
        validation=stored_validation or validation,
        n_validation=len(data.validation.labels),
        computed=train,
        stored=stored_train,
        augment=recipe.augment,
        seed=recipe.seed,
    )


def _store(
    computed: ComputedPrefix,
    split: SplitImages,
    *,
    n_views: int,
    limit_bytes: int,
    cache: PrefixCache | None,
) -> StoredPrefix | None:
    """All views of a split, from the cache or held; None unless all of them can be."""
    views = []
    for number in range(n_views):
        of_view = replace(computed, view=number)
        found = cache.open(of_view, split, resident_bytes=limit_bytes // n_views) if cache else None
        found = found or hold(of_view, limit_bytes=limit_bytes // n_views)
        if found is None:
            return None
        views.append(found)
    assert len({view.layout for view in views}) == 1, "views of one split differ in their layout"
    rows = tuple(rows for view in views for rows in view.views)
    return replace(views[0], views=rows)
