"""Heads that are trained together end as they would alone, whatever trains beside them."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

import numpy as np
import pytest
import torch

from selector import backbones
from selector.errors import TrialFailedError
from selector.records import Recipe, SplitImages, TrainingData
from selector.training import Network, train
from selector.training.heads import HeadEpoch, HeadStack, can_stack, group_of

from .conftest import CPU, make_network, recipe
from .test_steps import Fetches, Scalars

EPOCHS = 3


def probe(**changes) -> Recipe:
    return recipe(**{"freeze_depth": 5, "epochs": EPOCHS, **changes})


def varied(count: int, **shared) -> list[Recipe]:
    """Recipes of one group that differ in everything that is a head's own."""
    rng = np.random.default_rng(7)
    return [
        probe(
            lr=float(10 ** rng.uniform(-4, -0.5)),
            weight_decay=float(rng.choice([0.0, 1e-3, 0.1])),
            momentum=float(rng.choice([0.0, 0.9])),
            label_smoothing=float(rng.choice([0.0, 0.13])),
            warmup_epochs=float(rng.choice([0.0, 0.5, 1.0])),
            schedule=str(rng.choice(["cosine", "constant"])),
            clip_norm=float(rng.choice([0.0, 0.05, 1.0])),
            **shared,
        )
        for _ in range(count)
    ]


def stack_of(recipes, data, task) -> HeadStack:
    return HeadStack(make_network(5), data, recipes, device=CPU, task=task)


def together(recipes, data, task) -> dict[Recipe, list[HeadEpoch]]:
    stack = stack_of(recipes, data, task)
    epochs = [stack.next_epoch() for _ in range(EPOCHS)]
    return {each: [epoch[each] for epoch in epochs] for each in recipes}


def assert_as_alone(chosen: Recipe, epochs: list[HeadEpoch], data, task) -> None:
    network = make_network(5)
    alone = train(network, data, chosen, device=CPU, task=task)
    for own, fused in zip(alone, epochs, strict=True):
        assert np.array_equal(own.log_probabilities, fused.result.log_probabilities)
        state = network.trained_state()
        assert state.keys() == fused.state.keys()
        assert all(torch.equal(state[name], fused.state[name]) for name in state)
        assert fused.result.train_loss == pytest.approx(own.train_loss, rel=1e-6)
        assert (own.epoch, own.lr) == (fused.result.epoch, fused.result.lr)
        assert own.validation_loss == fused.result.validation_loss


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("augment", ["none", "flip", "light"])
@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize("batch_size", [16, 20])
def test_heads_together_end_with_the_bits_that_they_get_alone(
    optimizer, augment, class_weights, batch_size, data, task
):
    uneven = dataclasses.replace(data.train, labels=np.minimum(data.train.labels, 1))
    data = dataclasses.replace(data, train=uneven)
    recipes = varied(
        6,
        optimizer=optimizer,
        augment=augment,
        class_weights=class_weights,
        batch_size=batch_size,
    )
    for chosen, epochs in together(recipes, data, task).items():
        assert_as_alone(chosen, epochs, data, task)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_head_does_not_depend_on_its_group(optimizer, data, task):
    recipes = varied(32, optimizer=optimizer)
    chosen = recipes[3]
    alone = together([chosen], data, task)[chosen]
    for size in (2, 8, 32):
        beside = [*recipes[: size - 1], chosen] if size == 2 else recipes[:size]
        for one, other in zip(alone, together(beside, data, task)[chosen], strict=True):
            assert np.array_equal(one.result.log_probabilities, other.result.log_probabilities)
            assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)


def test_heads_of_a_real_backbone_with_many_classes_get_the_bits_that_they_get_alone(task):
    rng = np.random.default_rng(3)
    names = tuple(f"class-{i:02d}" for i in range(40))

    def split(n: int, seed: int) -> SplitImages:
        images = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        return SplitImages(images, rng.integers(0, 40, n), tuple(f"{seed}/{i}" for i in range(n)))

    data = TrainingData(split(75, 1), split(70, 2), names)
    backbone = backbones.load("bundled:efficientnet_lite0", image_size=32)

    def network() -> Network:
        head = task.head(backbone.feature_dim, len(names), seed=0)
        return Network(backbone, head, freeze_depth=5)

    recipes = varied(3, backbone="bundled:efficientnet_lite0", image_size=32, batch_size=32)
    stack = HeadStack(network(), data, recipes, device=CPU, task=task)
    last = [stack.next_epoch() for _ in range(EPOCHS)][-1]
    for chosen in recipes:
        *_, alone = train(network(), data, chosen, device=CPU, task=task)
        assert np.array_equal(alone.log_probabilities, last[chosen].result.log_probabilities)


def test_heads_in_bfloat16_agree_with_heads_alone(data, task):
    recipes = varied(4, precision="bf16")
    for chosen, epochs in together(recipes, data, task).items():
        *_, alone = train(make_network(5), data, chosen, device=CPU, task=task)
        fused = epochs[-1].result.log_probabilities
        assert np.allclose(np.exp(alone.log_probabilities), np.exp(fused), atol=1e-3)


def test_a_dropped_head_is_trained_no_further_and_changes_nothing_for_the_rest(data, task):
    recipes = varied(5)
    stack = stack_of(recipes, data, task)
    first = stack.next_epoch()
    stack.drop(recipes[1])
    stack.drop(recipes[1])
    second, third = stack.next_epoch(), stack.next_epoch()
    assert set(first) == set(recipes)
    assert set(second) == set(recipes) - {recipes[1]} == set(third)
    for chosen in second:
        assert_as_alone(chosen, [first[chosen], second[chosen], third[chosen]], data, task)


def test_a_head_that_is_not_finite_fails_as_alone_and_by_itself(data, task):
    good, broken = (
        probe(lr=0.01, optimizer="sgd", clip_norm=0.0),
        probe(lr=1e38, optimizer="sgd", clip_norm=0.0, schedule="constant", warmup_epochs=0.0),
    )
    stack = stack_of([good, broken], data, task)
    epochs = [stack.next_epoch() for _ in range(EPOCHS)]
    (failure,) = [e[broken] for e in epochs if isinstance(e.get(broken), TrialFailedError)]
    with pytest.raises(TrialFailedError) as alone:
        list(train(make_network(5), data, broken, device=CPU, task=task))
    assert (failure.cause, str(failure)) == (alone.value.cause, str(alone.value))
    assert failure.cause == "non_finite"
    assert_as_alone(good, [epoch[good] for epoch in epochs], data, task)


def test_a_stack_is_finished_when_nothing_is_left_to_train(data, task):
    recipes = varied(2)
    stack = stack_of(recipes, data, task)
    for _ in range(EPOCHS):
        assert not stack.finished
        stack.next_epoch()
    assert stack.finished
    dropped = stack_of(recipes, data, task)
    dropped.drop(recipes[0])
    assert not dropped.finished
    dropped.drop(recipes[1])
    assert dropped.finished


def test_recipes_share_a_group_only_if_nothing_but_the_head_differs():
    first, second = varied(2)
    assert group_of(first) == group_of(second)
    for change in (
        {"backbone": "timm:resnet18"},
        {"image_size": 32},
        {"augment": "flip"},
        {"batch_size": 8},
        {"seed": 1},
        {"optimizer": "sgd"},
        {"precision": "bf16"},
        {"epochs": 9},
        {"class_weights": "balanced"},
    ):
        assert group_of(dataclasses.replace(first, **change)) != group_of(first)


def test_only_linear_probes_are_stacked(task):
    def stackable(depth: int, **changes) -> bool:
        return can_stack(make_network(depth), probe(**changes), task, device=CPU)

    assert stackable(5) and stackable(5, precision="bf16")
    assert not stackable(4)
    assert not stackable(5, precision="fp16")


def test_seconds_are_shares_of_the_time_of_all_heads(data, task):
    recipes = varied(4)
    started = time.perf_counter()
    stack = stack_of(recipes, data, task)
    epochs = [stack.next_epoch() for _ in range(EPOCHS)]
    passed = time.perf_counter() - started
    total = sum(epoch[each].result.seconds for epoch in epochs for each in recipes)
    assert 0.5 * passed < total <= passed


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_no_step_of_many_heads_asks_for_a_value(optimizer, data, task):
    recipes = varied(6, optimizer=optimizer, class_weights="balanced", batch_size=4)
    stack = HeadStack(make_network(5), data, recipes, device=CPU, task=task)
    for _ in range(2):
        stack._epoch += 1
        with Fetches() as fetches, Scalars() as scalars:
            stack._train_epoch()
        assert not fetches.found
        assert not scalars.found


def test_weights_of_heads_leave_the_device_together_and_are_their_own(data, task):
    def fetched(heads):
        stack = HeadStack(make_network(5), data, varied(heads), device=CPU, task=task)
        stack.next_epoch()
        with Fetches() as fetches:
            states = stack._states()
        assert len({state["head.weight"].untyped_storage().data_ptr() for state in states}) == heads
        return fetches.found

    assert fetched(2) == fetched(16) == Counter(cpu=2)
