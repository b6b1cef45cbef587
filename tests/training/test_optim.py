"""Optimizers, their learning rates, and class weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from selector.training import optim

from .conftest import CPU, make_network, recipe


def groups(depth, **changes):
    network = make_network(depth)
    chosen = recipe(freeze_depth=depth, **changes)
    return optim.build_optimizer(network, chosen, device=CPU).param_groups


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("depth", range(6))
def test_each_stage_learns_slower_than_the_one_above_it(depth, optimizer):
    rates = {
        g["name"].rpartition(".")[0]: g["lr"]
        for g in groups(depth, optimizer=optimizer, lr=0.01, layer_decay=0.5)
    }
    wanted = {f"stages.{i}": 0.01 * 0.5 ** (5 - i) for i in range(depth, 5)} | {"head": 0.01}
    assert rates == pytest.approx(wanted)


@pytest.mark.parametrize("depth", range(6))
def test_every_trained_weight_is_in_one_group(depth):
    network = make_network(depth)
    chosen = recipe(freeze_depth=depth)
    listed = [
        p
        for g in optim.build_optimizer(network, chosen, device=CPU).param_groups
        for p in g["params"]
    ]
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    assert len(listed) == len(trained)
    assert {id(p) for p in listed} == trained


def test_biases_and_normalisation_weights_do_not_decay():
    for group in groups(0, weight_decay=0.1):
        vectors = all(p.dim() <= 1 for p in group["params"])
        assert group["weight_decay"] == (0.0 if vectors else 0.1)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.0, False)])
def test_sgd_has_nesterov_momentum_where_it_has_momentum(momentum, nesterov):
    group = groups(5, optimizer="sgd", momentum=momentum)[0]
    assert (group["momentum"], group["nesterov"]) == (momentum, nesterov)


def test_the_schedules_factor_scales_each_groups_own_rate():
    optimizer = optim.build_optimizer(make_network(3), recipe(layer_decay=0.5), device=CPU)
    optim.set_learning_rates(optimizer, 0.5)
    optim.set_learning_rates(optimizer, 0.25)
    for group in optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.25 * group["base_lr"])


def factors(total, warmup, schedule="cosine"):
    return [
        optim.schedule_factor(s, total, warmup_steps=warmup, schedule=schedule)
        for s in range(total)
    ]


def test_cosine_schedule_warms_up_and_falls_to_zero():
    got = factors(10, 4)
    assert got[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    wanted = [0.5 * (1 + np.cos(np.pi * k / 6)) for k in range(6)]
    assert got[4:] == pytest.approx(wanted)
    assert optim.schedule_factor(10, 10, warmup_steps=4, schedule="cosine") == pytest.approx(0)


def test_constant_schedule_stays_after_the_warm_up():
    assert factors(5, 2, "constant") == pytest.approx([0.5, 1, 1, 1, 1])


def test_no_warm_up_starts_at_the_full_rate():
    assert factors(5, 0)[0] == 1.0


def test_warm_up_longer_than_the_training_never_exceeds_its_share():
    assert factors(4, 8) == pytest.approx([1 / 8, 2 / 8, 3 / 8, 4 / 8])


def test_balanced_class_weights_agree_with_scikit_learn():
    labels = np.array([0] * 10 + [1] * 5 + [2])
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    got = optim.balanced_class_weights(labels, 3)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-6)


def test_a_class_without_samples_has_a_finite_weight():
    assert torch.isfinite(optim.balanced_class_weights(np.array([0, 0, 1]), 3)).all()
