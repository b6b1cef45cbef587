"""Five stages of torchvision's classification networks, one function a family.

The dropout right before the last linear layer belongs to stage 5.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from selector.backbones.cuts import Cut, FirstToken, NoStagesError, SpatialMean, shell, spread

# Names of libraries without types: a network's attributes are Any.
_Network = Any
_Groups = Sequence[Sequence[nn.Module]]


def cut(network: nn.Module) -> Cut:
    """The five stages of a torchvision network. Raises NoStagesError for other families."""
    for family, groups in _FAMILIES.items():
        if isinstance(network, family):
            stages = tuple(nn.Sequential(*group) for group in groups(network))
            return Cut(stages, (classifier_name(network),))
    raise NoStagesError("its branches are not a sequence of blocks")


def classifier_name(network: nn.Module) -> str:
    """The name of the last linear layer."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise NoStagesError("it has no last linear layer")
    return str(linear[-1])


def _resnet(net: _Network) -> _Groups:
    stem = [net.conv1, net.bn1, net.relu, net.maxpool]
    return [
        stem,
        [net.layer1],
        [net.layer2],
        [net.layer3],
        [net.layer4, net.avgpool, nn.Flatten(1)],
    ]


def _vgg(net: _Network) -> _Groups:
    ends = [i + 1 for i, layer in enumerate(net.features) if isinstance(layer, nn.MaxPool2d)]
    return _split(net.features, ends[:-1], tail=[net.avgpool, nn.Flatten(1), *net.classifier[:-1]])


def _alexnet(net: _Network) -> _Groups:
    starts = [i for i, layer in enumerate(net.features) if isinstance(layer, nn.Conv2d)]
    return _split(net.features, starts[1:], tail=[net.avgpool, nn.Flatten(1), *net.classifier[:-1]])


def _densenet(net: _Network) -> _Groups:
    ends = [i + 1 for i, (name, _) in enumerate(net.features.named_children()) if "pool0" in name]
    ends += [i + 1 for i, (n, _) in enumerate(net.features.named_children()) if "transition" in n]
    tail = [nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1)]
    return _split(net.features, ends, tail=tail)


def _mobilenet_v2(net: _Network) -> _Groups:
    tail = [nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1), *net.classifier[:-1]]
    return _split(net.features, _halvings(net.features)[1:], tail=tail)


def _pooled_features(net: _Network) -> _Groups:
    tail = [net.avgpool, nn.Flatten(1), *net.classifier[:-1]]
    return _split(net.features, _halvings(net.features)[1:], tail=tail)


def _mnasnet(net: _Network) -> _Groups:
    tail = [SpatialMean(), *net.classifier[:-1]]
    return _split(net.layers, _halvings(net.layers)[1:], tail=tail)


def _convnext(net: _Network) -> _Groups:
    return _split(net.features, [1, 2, 4, 6], tail=[net.avgpool, *net.classifier[:-1]])


def _swin(net: _Network) -> _Groups:
    tail = [net.norm, net.permute, net.avgpool, net.flatten]
    return _split(net.features, [1, 2, 4, 6], tail=tail)


def _regnet(net: _Network) -> _Groups:
    blocks = list(net.trunk_output)
    return [[net.stem], *([b] for b in blocks[:-1]), [blocks[-1], net.avgpool, nn.Flatten(1)]]


def _shufflenet(net: _Network) -> _Groups:
    last = [net.conv5, SpatialMean()]
    return [[net.conv1, net.maxpool], [net.stage2], [net.stage3], [net.stage4], last]


def _maxvit(net: _Network) -> _Groups:
    blocks = list(net.blocks)
    last = [blocks[-1], *net.classifier[:-1]]
    return [[net.stem], *([block] for block in blocks[:-1]), last]


def _vit(net: _Network) -> _Groups:
    layers = list(net.encoder.layers)
    counts = spread(len(layers))
    ends = [sum(counts[: i + 1]) for i in range(len(counts) - 1)]
    first, *others = _split(layers, ends, tail=[net.encoder.ln, FirstToken(), *net.heads[:-1]])
    return [[_VitEmbedding(net), *first], *others]


class _VitEmbedding(nn.Module):
    """Patches, class token and positions of torchvision's VisionTransformer."""

    def __init__(self, net: _Network) -> None:
        super().__init__()
        self.patches = shell(net, ["conv_proj"], parameters=False)
        self.class_token = net.class_token
        self.pos_embedding = net.encoder.pos_embedding
        self.dropout = net.encoder.dropout

    def forward(self, images: Tensor) -> Tensor:
        """Tokens (batch, 1 + patches, features) of images (batch, 3, size, size)."""
        process: Callable[[Tensor], Tensor] = self.patches._process_input  # type: ignore[assignment]
        x = process(images)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        embedded: Tensor = self.dropout(x + self.pos_embedding)
        return embedded


def _split(
    layers: Sequence[nn.Module] | nn.Sequential, starts: Sequence[int], *, tail: list[nn.Module]
) -> list[list[nn.Module]]:
    """Layers in groups that begin at 0 and at `starts`; the last group goes on with `tail`."""
    modules = list(layers)
    bounds = [0, *starts, len(modules)]
    groups = [modules[a:b] for a, b in itertools.pairwise(bounds)]
    groups[-1] = [*groups[-1], *tail]
    return groups


def _halvings(layers: nn.Sequential) -> list[int]:
    """Positions of the layers that halve the resolution."""
    return [
        position
        for position, layer in enumerate(layers)
        if any(isinstance(m, nn.Conv2d) and m.stride == (2, 2) for m in layer.modules())
    ]


_FAMILIES: dict[type[nn.Module], Callable[[_Network], _Groups]] = {
    models.ResNet: _resnet,
    models.VGG: _vgg,
    models.AlexNet: _alexnet,
    models.DenseNet: _densenet,
    models.MobileNetV2: _mobilenet_v2,
    models.MobileNetV3: _pooled_features,
    models.EfficientNet: _pooled_features,
    models.MNASNet: _mnasnet,
    models.ConvNeXt: _convnext,
    models.SwinTransformer: _swin,
    models.RegNet: _regnet,
    models.ShuffleNetV2: _shufflenet,
    models.MaxVit: _maxvit,
    models.VisionTransformer: _vit,
}
