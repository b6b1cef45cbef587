"""`load`: the same arguments give the same backbone; sizes and weights that don't fit say so."""

from __future__ import annotations

import copy

import pytest
import torch

from selector import backbones
from selector.errors import InputError

NAMES = ["toy:cnn", "timm:test_resnet", "torchvision:mnasnet0_5", "bundled:mobilenet_v2"]


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_depend_on_the_seed_alone(name: str) -> None:
    first = backbones.load(name, weights="random", image_size=64, seed=3)
    torch.rand(5)
    again = backbones.load(name, weights="random", image_size=64, seed=3)
    other = backbones.load(name, weights="random", image_size=64, seed=4)
    assert _same(first, again)
    assert first.weights_id == again.weights_id
    assert not _same(first, other)
    assert first.weights_id != other.weights_id


@pytest.mark.parametrize("name", NAMES)
def test_loading_leaves_the_global_random_state_as_it_was(name: str) -> None:
    before = torch.get_rng_state()
    backbones.load(name, weights="random", image_size=96, seed=3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["toy:cnn", "timm:test_vit", "torchvision:vit_b_16"])
def test_backbone_arrives_in_eval_mode_and_can_be_copied(name: str) -> None:
    backbone = backbones.load(name, weights="random", image_size=32)
    assert not any(module.training for module in backbone.modules())
    twin = copy.deepcopy(backbone)
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(twin(images), backbone(images))
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in backbone.parameters()}


def test_toy_is_small_and_its_pretrained_weights_are_fixed() -> None:
    toy = backbones.load("toy:cnn", image_size=16, seed=1)
    assert sum(toy.stage_parameters()) < 50_000
    assert _same(toy, backbones.load("toy:cnn", image_size=16, seed=2))
    kinds = {type(module).__name__ for module in toy.modules()}
    assert {"BatchNorm2d", "Dropout2d"} <= kinds


def test_preprocessing_is_the_librarys_own_at_the_studys_size() -> None:
    library = backbones.load("timm:test_vit", weights="random", image_size=96).preprocessing
    assert (library.size, library.interpolation) == (96, "bicubic")
    assert library.mean == library.std == (0.5, 0.5, 0.5)
    torchvision = backbones.load("torchvision:mnasnet0_5", weights="random").preprocessing
    assert (torchvision.size, torchvision.interpolation) == (224, "bilinear")
    assert torchvision.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("name", "size", "allowed"),
    [
        ("timm:vit_tiny_patch16_224", 100, "multiples of 16"),
        ("timm:swin_tiny_patch4_window7_224", 66, "multiples of 4"),
        ("torchvision:vit_b_32", 48, "multiples of 32"),
        ("torchvision:maxvit_t", 64, "multiples of 224"),
        ("torchvision:vgg11", 16, "too small"),
        ("timm:vgg11", 16, "its own size is 224"),
        ("toy:cnn", 4, "8 px and more"),
    ],
)
def test_image_size_that_does_not_fit_says_what_does(name: str, size: int, allowed: str) -> None:
    with pytest.raises(InputError, match=allowed) as caught:
        backbones.load(name, weights="random", image_size=size)
    assert f"{size}" in str(caught.value)
    assert "\n" not in str(caught.value)


def _same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(
        torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items()
    )
