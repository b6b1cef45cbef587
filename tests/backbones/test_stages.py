"""Cuts: found where a network is a row of blocks, refused everywhere else, proven before use."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from selector import backbones
from selector.backbones import cuts, stages_torchvision
from selector.backbones.stages_timm import find_groups
from selector.backbones.tracing import image_on_meta, trace, trace_until, twin
from selector.errors import InputError


@pytest.mark.parametrize(
    "architecture",
    [
        "bat_resnext26ts",
        "convmixer_768_32",
        "cs3darknet_s",
        "dla34",
        "dpn68",
        "edgenext_xx_small",
        "efficientformer_l1",
        "focalnet_tiny_srf",
        "hgnet_tiny",
        "inception_v3",
        "lcnet_050",
        "nf_resnet26",
        "poolformerv2_s12",
        "pvt_v2_b0",
        "regnety_002",
        "repghostnet_050",
        "res2net50_14w_8s",
        "resnest14d",
        "rexnet_100",
        "swinv2_cr_tiny_224",
        "tiny_vit_5m_224",
        "xception41",
    ],
)
def test_five_stages_are_found_in_families_without_a_rule_of_their_own(architecture: str) -> None:
    backbones.check(f"timm:{architecture}", weights="random")


@pytest.mark.parametrize(
    "name",
    [
        "timm:hrnet_w18_small",
        "timm:levit_128s",
        "timm:crossvit_tiny_240",
        "timm:nasnetalarge",
        "torchvision:googlenet",
        "torchvision:squeezenet1_1",
    ],
)
def test_network_that_is_no_row_of_blocks_is_refused(name: str) -> None:
    for call in (backbones.check, backbones.load):
        with pytest.raises(InputError, match=f"No five stages can be found in '{name}'"):
            call(name, weights="random")


def test_resnet_is_cut_after_stem_and_layers() -> None:
    for create in (lambda: timm.create_model("resnet18"), lambda: timm.create_model("resnet26d")):
        groups = find_groups(twin(create), image_size=64)
        assert [group[-1] for group in groups] == ["act1", "layer1", "layer2", "layer3", "layer4"]


def test_blocks_of_a_transformer_are_dealt_out_evenly() -> None:
    groups = find_groups(twin(lambda: timm.create_model("vit_tiny_patch16_224")), image_size=224)
    assert [len(group) for group in groups] == [3, 3, 2, 2, 2]
    assert [name for group in groups for name in group] == [f"blocks.{i}" for i in range(12)]


def _swapped(stages: list[nn.Sequential]) -> list[nn.Sequential]:
    # Two blocks of the same shape in the wrong order: with fresh weights both add nothing.
    first, second = stages[1][0][0], stages[1][0][1]
    return [stages[0], nn.Sequential(second, first), *stages[2:]]


def _shortened(stages: list[nn.Sequential]) -> list[nn.Sequential]:
    return [stages[0], nn.Sequential(stages[1][0][0]), *stages[2:]]


def _unpooled(stages: list[nn.Sequential]) -> list[nn.Sequential]:
    return [*stages[:4], nn.Sequential(stages[4][0], nn.AdaptiveMaxPool2d(1), nn.Flatten(1))]


@pytest.mark.parametrize("spoil", [_swapped, _shortened, _unpooled])
def test_wrong_cut_is_never_proven(
    spoil: Callable[[list[nn.Sequential]], list[nn.Sequential]],
) -> None:
    network = twin(lambda: models.resnet18(weights=None))
    right = stages_torchvision.cut(network)
    expected = trace_until(network, network.get_submodule("fc"), image=image_on_meta(64))
    assert cuts.prove(network, right, expected=expected, image_size=64) == 512
    wrong = cuts.Cut(tuple(spoil(list(right.stages))), right.classifier)
    with pytest.raises(cuts.NoStagesError):
        cuts.prove(network, wrong, expected=expected, image_size=64)


def test_parameter_outside_of_all_stages_is_noticed() -> None:
    network = twin(lambda: models.resnet18(weights=None))
    expected = trace_until(network, network.get_submodule("fc"), image=image_on_meta(64))
    network.extra = nn.Parameter(torch.ones(1, device="meta"))
    with pytest.raises(cuts.NoStagesError, match="belong to no stage"):
        cut = stages_torchvision.cut(network)
        cuts.prove(network, cut, expected=expected, image_size=64)


def test_trace_tells_the_same_operations_on_other_weights_apart() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)).to("meta")
    image = image_on_meta(8)
    forward = trace(network, network, image=image)
    assert forward == trace(network, network, image=image)
    backward = trace(network, lambda x: network[0](network[1](x)), image=image)
    assert backward != forward
    assert backward.shape == forward.shape
