"""A network with frozen leading stages."""

from __future__ import annotations

import pytest
import torch

from selector.errors import ConflictError, InputError

from .conftest import SIZE, make_network

DEPTHS = range(6)


def images(n=4):
    return torch.randn(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("depth", DEPTHS)
def test_prefix_and_suffix_composed_are_the_network(depth):
    network = make_network(depth).eval()
    with torch.no_grad():
        assert torch.equal(network(images()), network.suffix(network.prefix(images())))
        assert torch.equal(network(images()), network.head(network.backbone(images())))


@pytest.mark.parametrize("depth", DEPTHS)
def test_frozen_stages_stay_in_evaluation_mode_and_the_rest_trains(depth):
    network = make_network(depth)
    network.eval()
    network.train()
    for number, stage in enumerate(network.backbone.stages):
        assert all(m.training == (number >= depth) for m in stage.modules())
        assert all(p.requires_grad == (number >= depth) for p in stage.parameters())
    assert network.head.training


def test_prefix_carries_no_gradient_and_the_suffix_does():
    network = make_network(2)
    features = network.prefix(images())
    assert not features.requires_grad
    assert network.suffix(features).requires_grad


def test_nothing_frozen_gives_the_images_themselves():
    x = images()
    assert make_network(0).prefix(x) is x


@pytest.mark.parametrize("depth", DEPTHS)
def test_parameter_counts_add_up(depth):
    network = make_network(depth)
    frozen = sum(p.numel() for s in network.backbone.stages[:depth] for p in s.parameters())
    assert network.parameter_count() == make_network(0).parameter_count()
    assert network.parameter_count() - network.trained_parameter_count() == frozen


@pytest.mark.parametrize("depth", DEPTHS)
def test_trained_state_of_one_network_makes_another_predict_the_same(depth):
    donor, receiver = make_network(depth), make_network(depth)
    with torch.no_grad():
        for _, part in donor.trained_parts():
            for tensor in (*part.parameters(), *part.buffers()):
                tensor += 1
    receiver.load_trained_state(donor.trained_state())
    donor.eval(), receiver.eval()
    with torch.no_grad():
        assert torch.equal(donor(images()), receiver(images()))


def test_trained_state_is_a_copy_that_later_steps_do_not_change():
    network = make_network(4)
    state = network.trained_state()
    before = state["head.weight"].clone()
    with torch.no_grad():
        network.head.weight += 1
    assert torch.equal(state["head.weight"], before)


def test_trained_state_holds_suffix_and_head_with_their_statistics():
    names = set(make_network(4).trained_state())
    assert {name.split(".")[0] for name in names} == {"stages", "head"}
    assert {name.split(".")[1] for name in names if name.startswith("stages")} == {"4"}
    assert any(name.endswith("running_var") for name in names)


def test_state_of_another_depth_is_refused_by_name():
    with pytest.raises(ConflictError, match=r"toy:cnn at freeze depth 3.*stages\.3.*is missing"):
        make_network(3).load_trained_state(make_network(4).trained_state())
    with pytest.raises(ConflictError, match="is not part of this network"):
        make_network(4).load_trained_state(make_network(3).trained_state())


def test_state_of_another_shape_is_refused_and_changes_nothing():
    network = make_network(5)
    before = network.trained_state()
    state = {"head.weight": torch.zeros(2, 2), "head.bias": torch.ones(3)}
    with pytest.raises(ConflictError, match=r"'head.weight' has shape \(2, 2\), not"):
        network.load_trained_state(state)
    assert torch.equal(network.trained_state()["head.bias"], before["head.bias"])


@pytest.mark.parametrize("depth", [-1, 6])
def test_depth_outside_the_stages_is_refused(depth):
    with pytest.raises(InputError, match=r"outside 0\.\.5"):
        make_network(depth)
