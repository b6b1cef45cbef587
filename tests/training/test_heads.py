"""Heads that are trained together end as they would alone, whatever trains beside them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from selector.records import Recipe
from selector.training import train
from selector.training.heads import HeadEpoch, HeadStack

from .conftest import CPU, make_network, recipe

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
