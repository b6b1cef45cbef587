"""What every backbone must hold, on architectures of every source and family."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision import models

from selector import backbones
from selector.backbones import Backbone

# name, image size; the small member of each family
CASES = {
    "toy:cnn": 16,
    "bundled:efficientnet_lite0": 64,
    "bundled:mobilenet_v2": 64,
    "torchvision:alexnet": 64,
    "torchvision:convnext_tiny": 64,
    "torchvision:densenet121": 64,
    "torchvision:efficientnet_b0": 64,
    "torchvision:efficientnet_v2_s": 64,
    "torchvision:mnasnet0_5": 64,
    "torchvision:mobilenet_v2": 64,
    "torchvision:mobilenet_v3_small": 64,
    "torchvision:regnet_y_400mf": 64,
    "torchvision:resnet18": 64,
    "torchvision:shufflenet_v2_x0_5": 64,
    "torchvision:swin_t": 64,
    "torchvision:vgg11": 32,
    "torchvision:vgg11_bn": 32,
    "torchvision:vit_b_16": 32,
    "timm:convnext_atto": 64,
    "timm:deit_tiny_patch16_224": 64,
    "timm:deit_tiny_distilled_patch16_224": 64,
    "timm:densenet121": 64,
    "timm:efficientnet_b0": 64,
    "timm:ghostnet_050": 64,
    "timm:maxvit_rmlp_pico_rw_256": 64,
    "timm:mixer_s32_224": 64,
    "timm:mobilenetv2_050": 64,
    "timm:mobilenetv3_small_050": 64,
    "timm:regnetx_002": 64,
    "timm:resnet18": 64,
    "timm:resnet26d": 64,
    "timm:resnetv2_18": 64,
    "timm:resnext50_32x4d": 64,
    "timm:swin_tiny_patch4_window7_224": 64,
    "timm:test_efficientnet": 64,
    "timm:test_nfnet": 64,
    "timm:test_vit": 64,
    "timm:tf_efficientnet_lite0": 64,
    "timm:tf_efficientnetv2_b0": 64,
    "timm:vgg11": 32,
    "timm:vit_tiny_patch16_224": 64,
}
_TIMM_SIZED = ("vit", "deit", "mixer", "swin")  # built for one image size


@dataclass
class Pair:
    """A backbone and the library's whole network with the same weights."""

    name: str
    backbone: Backbone
    library: nn.Module | None  # None for the toy, which has no library
    images: Tensor


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    name, size = request.param, CASES[request.param]
    backbone = backbones.load(name, weights="random", image_size=size, seed=7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        library = _library(name, size)
        images = torch.rand(2, 3, size, size)
    for network in filter(None, (backbone, library)):
        _wake(network)
    yield Pair(name, backbone, library, images)


def test_stages_composed_are_the_librarys_own_features(pair: Pair) -> None:
    with torch.no_grad():
        features = pair.backbone(pair.images)
        if pair.library is not None:
            assert torch.equal(features, _features(pair.library, pair.images))
    assert torch.isfinite(features).all()
    assert features.std() > 0
    assert features.shape == (2, pair.backbone.feature_dim)


def test_features_are_the_same_in_channels_last(pair: Pair) -> None:
    with torch.no_grad():
        plain = pair.backbone(pair.images)
        moved = pair.backbone(pair.images.to(memory_format=torch.channels_last))
    assert moved.shape == plain.shape
    assert (moved - plain).norm() <= 1e-3 * plain.norm()


def test_parameters_of_the_stages_add_up(pair: Pair) -> None:
    counts = pair.backbone.stage_parameters()
    total = sum(p.numel() for p in pair.backbone.parameters())
    assert len(counts) == backbones.STAGES
    assert all(count > 0 for count in counts)
    assert sum(counts) == total
    if pair.library is not None:
        library = sum(p.numel() for p in pair.library.parameters())
        classifier = sum(p.numel() for layer in _last(pair.library) for p in layer.parameters())
        assert total == library - classifier


def test_weights_of_a_stage_are_named_after_it(pair: Pair) -> None:
    state = pair.backbone.state_dict()
    assert {key.split(".")[0] for key in state} == {"stages"}
    assert {int(key.split(".")[1]) for key in state} == set(range(backbones.STAGES))


def test_frozen_stages_stay_bit_identical_and_the_rest_learns(pair: Pair) -> None:
    depth = 1 + list(CASES).index(pair.name) % 4  # every depth on some members of each source
    backbone = pair.backbone.train()
    backbone.requires_grad_(True)
    for stage in backbone.stages[:depth]:
        stage.requires_grad_(False).eval()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}

    head = nn.Linear(backbone.feature_dim, 3)
    step = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    nn.functional.cross_entropy(head(backbone(pair.images)), torch.tensor([0, 2])).backward()
    step.step()
    backbone.zero_grad(set_to_none=True)

    changed = [False] * backbones.STAGES
    for key, value in backbone.state_dict().items():
        changed[int(key.split(".")[1])] |= not torch.equal(value, before[key])
    assert changed == [position >= depth for position in range(backbones.STAGES)]


def _library(name: str, size: int) -> nn.Module | None:
    source, architecture = backbones.split_name(name)
    if source == "toy":
        return None
    if source == "torchvision" or name == "bundled:mobilenet_v2":
        sized = {"image_size": size} if architecture.startswith("vit") else {}
        network: nn.Module = models.get_model(architecture, weights=None, **sized)
        return network.eval()
    if source == "bundled":
        architecture = f"tf_{architecture}"
    sized = {"img_size": size} if any(s in architecture for s in _TIMM_SIZED) else {}
    return timm.create_model(architecture, **sized).eval()


def _wake(network: nn.Module) -> None:
    """Give norms and scales values of their own: a block that starts as zero hides a wrong cut."""
    with torch.no_grad():
        for key, tensor in [*network.named_parameters(), *network.named_buffers()]:
            vector = tensor.dim() and tensor.numel() == max(tensor.shape)
            if vector and tensor.is_floating_point() and "rel" not in key:
                tensor.copy_(torch.linspace(0.6, 1.4, tensor.numel()).view_as(tensor))


def _last(library: Any) -> list[nn.Module]:
    """The last linear layers: two where distilled."""
    if hasattr(library, "get_classifier"):
        found = library.get_classifier()
        return list(found) if isinstance(found, tuple) else [found]
    return [[m for m in library.modules() if isinstance(m, nn.Linear)][-1]]


def _features(library: nn.Module, images: Tensor) -> Tensor:
    """What arrives at the last linear layer; where there are two, the mean, as timm defines it."""
    seen: list[Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(1)))
        for layer in _last(library)
    ]
    library(images)
    for hook in hooks:
        hook.remove()
    return seen[0] if len(seen) == 1 else (seen[0] + seen[1]) / 2
