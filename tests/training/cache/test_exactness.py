"""A cached trial is the uncached one: same seed, same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selector import backbones
from selector.training import train
from selector.training.batches import sequential_batches
from selector.training.prefix import FILL_BATCH, hold
from selector.training.rows import Layout

from ..conftest import CPU
from .conftest import (
    FAMILIES,
    Watched,
    computed_of,
    make_data,
    make_named_split,
    make_network_of,
    recipe_of,
)

DEPTHS = range(6)
# In the textbook's order the frozen stages see other batches, which moves features in their last
# bits. A probe's probabilities follow them; a trained suffix of random weights multiplies it.
FEATURES_BOUND = 5e-5
PROBE_BOUND = 1e-4
TRAINED_BOUND = 0.05


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A backbone's name with a cache that all its trials share, as in a study."""
    return request.param, Watched(tmp_path_factory.mktemp("cache"))


def run(name, data, task, *, freeze_depth, cache=None, **changes):
    options = {"hold_bytes": changes.pop("hold_bytes")} if "hold_bytes" in changes else {}
    network = make_network_of(name, freeze_depth, size=FAMILIES[name])
    recipe = recipe_of(network, **changes)
    return list(train(network, data, recipe, device=CPU, task=task, prefix_cache=cache, **options))


def assert_same_bits(first, second):
    assert [r.train_loss for r in first] == [r.train_loss for r in second]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.log_probabilities, other.log_probabilities)


@pytest.mark.parametrize(("optimizer", "augment"), [("adamw", "none"), ("sgd", "flip")])
@pytest.mark.parametrize("freeze_depth", DEPTHS)
def test_a_cached_trial_predicts_bit_by_bit_what_the_uncached_one_does(
    family, freeze_depth, optimizer, augment, task
):
    name, watched = family
    data = make_data(size=FAMILIES[name], n_train=20, n_validation=9)
    options = {"freeze_depth": freeze_depth, "optimizer": optimizer, "augment": augment}
    plain = run(name, data, task, **options)
    assert_same_bits(plain, run(name, data, task, cache=watched.cache, **options))
    # Its own process would read the files of the first: another cache object over them.
    again = Watched(watched.folder.parent)
    assert_same_bits(plain, run(name, data, task, cache=again.cache, **options))
    asked = 0 if freeze_depth == 0 else 3 if augment == "flip" else 2
    assert again.outcomes == ["hit"] * asked


@pytest.mark.parametrize("augment", ["none", "flip", "light"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_ragged_batches_change_nothing(optimizer, augment, task, tmp_path):
    data = make_data(n_train=FILL_BATCH + 7, n_validation=FILL_BATCH + 1)
    for freeze_depth in (1, 3, 5):
        options = {"freeze_depth": freeze_depth, "optimizer": optimizer, "augment": augment}
        cached = run("toy:cnn", data, task, cache=Watched(tmp_path).cache, **options)
        assert_same_bits(run("toy:cnn", data, task, **options), cached)


@pytest.mark.parametrize("freeze_depth", [1, 3, 5])
def test_the_textbooks_order_of_computing_stays_within_the_bound(family, freeze_depth, task):
    name, watched = family
    data = make_data(size=FAMILIES[name], n_train=37, n_validation=9)
    cached = run(name, data, task, freeze_depth=freeze_depth, cache=watched.cache)
    textbook = run(name, data, task, freeze_depth=freeze_depth, hold_bytes=0)
    bound = PROBE_BOUND if freeze_depth == 5 else TRAINED_BOUND
    for one, other in zip(cached, textbook, strict=True):
        change = np.abs(np.exp(one.log_probabilities) - np.exp(other.log_probabilities))
        assert change.max() <= bound


@pytest.mark.parametrize("freeze_depth", DEPTHS[1:])
def test_cached_features_agree_with_any_other_batch_within_the_bound(family, freeze_depth):
    name, watched = family
    split = make_named_split(40, size=FAMILIES[name], seed=3)
    network = make_network_of(name, freeze_depth, size=FAMILIES[name])
    stored = watched.open(network, split)
    computed = computed_of(network, split)
    indices = torch.tensor([39, 0, 17, 17, 3])
    torch.testing.assert_close(
        stored.features(indices), computed.features(indices), atol=FEATURES_BOUND, rtol=1e-5
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [9, FILL_BATCH + 1])
def test_cached_features_are_the_held_ones_in_dtype_bits_and_strides(precision, size, tmp_path):
    network, split = make_network_of("toy:cnn", 3), make_named_split(size)
    stored = Watched(tmp_path).open(network, split, precision=precision)
    held = hold(computed_of(network, split, precision=precision), limit_bytes=2**30)
    for indices in (torch.tensor([size - 1, 0, 3, 3]), *sequential_batches(size, FILL_BATCH)):
        one, other = stored.features(indices), held.features(indices)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


# Dimensions in the orders in which libraries leave them: maps, tokens, channels last.
ORDERS = ["toy:cnn", "timm:vit_tiny_patch16_224", "timm:mixer_s32_224", "torchvision:swin_t"]


@pytest.mark.parametrize("name", ORDERS)
def test_rows_give_back_the_memory_order_of_every_architecture(name):
    stages = backbones.load(name, weights="random", image_size=64).stages
    x = torch.rand(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for stage in stages:
            x = stage(x)
            layout = Layout.of(x)
            back = layout.restore(layout.flatten(x))
            assert torch.equal(back, x)
            assert back.stride()[1:] == x.stride()[1:]


def test_what_a_view_of_memory_repeats_is_stored_in_full():
    repeated = torch.arange(3.0).view(1, 3, 1).expand(4, 3, 5)
    layout = Layout.of(repeated)
    back = layout.restore(layout.flatten(repeated))
    assert torch.equal(back, repeated)
    assert back.is_contiguous()


def test_flips_show_each_sample_its_own_view():
    from selector.training.augment import view_of
    from selector.training.sources import open_sources

    data = make_data()
    network = make_network_of("toy:cnn", 2)
    recipe = recipe_of(network, augment="flip")
    sources = open_sources(network, data, recipe, device=CPU, hold_bytes=2**30)
    mirrored = computed_of(network, data.train, view=1)
    plain = computed_of(network, data.train)
    indices = torch.arange(FILL_BATCH)
    for epoch in (1, 2):
        shown = sources.train(epoch).features(indices)
        flipped = view_of("flip", indices, epoch=epoch).bool()
        assert 0 < flipped.sum() < FILL_BATCH
        assert torch.equal(shown[flipped], mirrored.features(indices)[flipped])
        assert torch.equal(shown[~flipped], plain.features(indices)[~flipped])
