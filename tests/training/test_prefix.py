"""Outputs of the frozen stages: computed, held, augmented, and the batches they come in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from selector.backbones.base import Backbone
from selector.data.normalize import normalize
from selector.records import Preprocessing, TrainingData
from selector.training import prefix
from selector.training.batches import epoch_order, sequential_batches, training_batches
from selector.training.images import Images
from selector.training.network import Network
from selector.training.prefix import AugmentedPrefix, ComputedPrefix, hold
from selector.training.rows import StoredPrefix
from selector.training.seeds import Stream, derive
from selector.training.sources import open_sources

from .conftest import CLASSES, CPU, SIZE, make_network, make_split, recipe

ROOMY = 2**30


def computed(network, split):
    images = Images(split.images, network.backbone.preprocessing, CPU)
    return ComputedPrefix(network, images, "fp32", CPU)


class Tokens(nn.Module):
    """Images to (batch, tokens, width), as vision transformers have it."""

    def forward(self, x):
        return x.flatten(2).transpose(1, 2)


def token_network():
    stages = [Tokens(), nn.Identity(), nn.Linear(3, 4), nn.LayerNorm(4), nn.Flatten(1)]
    preprocessing = Preprocessing(SIZE, "bilinear", (0.5,) * 3, (0.5,) * 3)
    width = SIZE * SIZE * 4
    backbone = Backbone(
        "tokens", stages, feature_dim=width, preprocessing=preprocessing, weights_id="x"
    )
    return Network(backbone, nn.Linear(width, 3), freeze_depth=4)


@pytest.mark.parametrize("depth", range(1, 6))
def test_held_features_are_the_computed_ones(depth):
    network, split = make_network(depth).place(CPU), make_split(150, seed=0)
    source = computed(network, split)
    held = hold(source, limit_bytes=ROOMY)
    indices = torch.tensor([149, 0, 64, 3, 3, 77])
    one, other = held.features(indices), source.features(indices)
    torch.testing.assert_close(one, other, atol=5e-5, rtol=1e-5)
    assert one.stride() == other.stride()


def test_held_features_are_bit_equal_where_the_batches_agree():
    source = computed(make_network(3).place(CPU), make_split(150, seed=0))
    held = hold(source, limit_bytes=ROOMY)
    for indices in sequential_batches(150, 64):
        assert torch.equal(held.features(indices), source.features(indices))


def test_features_of_tokens_are_held_as_they_are():
    source = computed(token_network(), make_split(70, seed=0))
    held = hold(source, limit_bytes=ROOMY)
    indices = torch.arange(64)
    assert held.features(indices).shape == (64, SIZE * SIZE, 4)
    assert torch.equal(held.features(indices), source.features(indices))


def test_held_features_serve_training_of_the_suffix():
    network = make_network(3)
    held = hold(computed(network, make_split(20, seed=0)), limit_bytes=ROOMY)
    network.suffix(held.features(torch.arange(8))).sum().backward()
    assert network.head.weight.grad is not None


def test_too_large_features_are_not_held():
    source = computed(make_network(5), make_split(20, seed=0))
    needed = hold(source, limit_bytes=ROOMY).bytes
    assert needed == 20 * 64 * 4
    assert hold(source, limit_bytes=needed) is not None
    assert hold(source, limit_bytes=needed - 1) is None


def test_room_is_asked_for_before_it_is_taken(monkeypatch):
    source, taken = computed(make_network(2).place(CPU), make_split(20, seed=0)), []
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *_: taken.append(1))
    assert hold(source, limit_bytes=100) is None
    assert taken == []


def test_rows_that_memory_cannot_hold_are_not_held(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("full")

    source = computed(make_network(2).place(CPU), make_split(20, seed=0))
    monkeypatch.setattr(torch.Tensor, "new_empty", full)
    assert hold(source, limit_bytes=ROOMY) is None


def test_rows_that_a_gpu_has_no_room_for_are_not_held(monkeypatch):
    source = computed(make_network(2).place(CPU), make_split(20, seed=0))
    monkeypatch.setattr(prefix, "device_room", lambda _: 100)
    assert hold(source, limit_bytes=ROOMY) is None


def opened(depth, hold_bytes=ROOMY, **changes):
    data = TrainingData(make_split(20, seed=0), make_split(10, seed=1), CLASSES)
    chosen = recipe(freeze_depth=depth, **changes)
    return open_sources(make_network(depth), data, chosen, device=CPU, hold_bytes=hold_bytes)


def test_frozen_outputs_are_held_for_both_splits_without_augmentation():
    sources = opened(2)
    assert isinstance(sources.train(1), StoredPrefix)
    assert isinstance(sources.validation, StoredPrefix)


def test_validation_is_held_even_under_augmentation():
    sources = opened(2, augment="light")
    assert isinstance(sources.train(1), AugmentedPrefix)
    assert isinstance(sources.validation, StoredPrefix)


def test_nothing_is_held_where_nothing_is_frozen():
    sources = opened(0)
    assert isinstance(sources.train(1), ComputedPrefix)
    assert isinstance(sources.validation, ComputedPrefix)


def test_memory_for_validation_alone_is_used_for_validation():
    sources = opened(5, hold_bytes=10 * 64 * 4)
    assert isinstance(sources.train(1), ComputedPrefix)
    assert isinstance(sources.validation, StoredPrefix)


def test_validation_and_training_share_the_memory():
    bytes_each = 64 * 4
    assert isinstance(opened(5, hold_bytes=30 * bytes_each).train(1), StoredPrefix)
    assert isinstance(opened(5, hold_bytes=29 * bytes_each).train(1), ComputedPrefix)


def test_augmented_views_change_by_epoch_and_repeat_by_seed():
    source, indices = computed(make_network(2), make_split(20, seed=0)), torch.arange(20)
    one, again, later = (
        AugmentedPrefix(source, "light", seed=0, epoch=epoch).features(indices)
        for epoch in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, later)


def test_images_of_a_read_only_file_are_read_by_index(tmp_path):
    split = make_split(20, seed=0)
    np.save(tmp_path / "images.npy", split.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    preprocessing = make_network(0).backbone.preprocessing
    batch = Images(mapped, preprocessing, CPU).batch(torch.tensor([5, 1]))
    assert torch.equal(batch, normalize(torch.from_numpy(split.images[[5, 1]]), preprocessing))
    assert batch.is_contiguous(memory_format=torch.channels_last)


# --- batches and seeds --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 5]),
        (8, 4, [4, 4]),
        (3, 100, [3]),
        (1, 4, [1]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_training_batches_never_end_with_one_sample_left_over(n, batch_size, sizes):
    order = epoch_order(n, seed=0, epoch=1)
    batches = training_batches(order, batch_size)
    assert [len(b) for b in batches] == sizes
    assert torch.equal(torch.cat(list(batches)), order)


def test_order_of_an_epoch_is_a_permutation_set_by_seed_and_epoch():
    order = epoch_order(50, seed=0, epoch=1)
    assert sorted(order.tolist()) == list(range(50))
    assert torch.equal(order, epoch_order(50, seed=0, epoch=1))
    assert not torch.equal(order, epoch_order(50, seed=0, epoch=2))
    assert not torch.equal(order, epoch_order(50, seed=1, epoch=1))


def test_streams_of_near_seeds_differ():
    seeds = {derive(s, stream, epoch=e) for s in range(5) for stream in Stream for e in range(5)}
    assert len(seeds) == 5 * len(Stream) * 5


def test_a_negative_seed_is_a_seed_too():
    assert derive(-1, Stream.ORDER, epoch=1) != derive(1, Stream.ORDER, epoch=1)
