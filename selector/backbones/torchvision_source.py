"""The source `torchvision:`: classification networks of torchvision."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torchvision
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from selector.backbones import downloads, origins, stages_torchvision, torchvision_networks
from selector.backbones import weights as weight_files
from selector.backbones.base import Backbone, LibraryNetwork
from selector.errors import UnknownNameError
from selector.records import Licence, Preprocessing

# Branches side by side, or a last layer that is a convolution: no five stages.
_UNCUT = ("googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1")


class TorchvisionSource:
    """torchvision's classification networks."""

    def known(self) -> Sequence[str]:
        """Names of the networks that have five stages."""
        return _known()

    def check(self, architecture: str, *, weights: str) -> None:
        """Raise what `build` would raise, without reading weights; missing ones are fetched."""
        name = _name(architecture)
        torchvision_networks.find_feature_dim(name, architecture, _own_size(architecture))
        weight_files.local_file(weights, name=name)
        if weights == weight_files.PRETRAINED:
            downloads.torch_hub_file(_published(architecture).url, name=name)

    def build(self, architecture: str, *, weights: str, image_size: int, seed: int) -> Backbone:
        """The backbone with the library's newest weights, or drawn from `seed`, or from a file."""
        name = _name(architecture)
        feature_dim = torchvision_networks.find_feature_dim(name, architecture, image_size)
        file = weight_files.local_file(weights, name=name)
        if weights == weight_files.PRETRAINED:
            file = downloads.torch_hub_file(_published(architecture).url, name=name)
        with weight_files.drawn_from(seed):
            network = torchvision_networks.create(name, architecture, image_size)
        weights_id = f"{name}/{image_size}/seed-{seed}/torchvision-{torchvision.__version__}"
        cut = stages_torchvision.cut(network)
        if file is not None:
            state = _fitted(weight_files.read(file), network, image_size)
            weight_files.fill(
                network, state, origin=f"Weights file '{file}' of {name}", classifier=cut.classifier
            )
            weights_id = f"{name}/{image_size}/{weight_files.digest(file)}"
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
        """torchvision's network of this name."""
        name = _name(architecture)
        return torchvision_networks.library_network(
            name, architecture, image_size=image_size, n_classes=n_classes
        )

    def licences(self, architecture: str, *, weights: str) -> tuple[Licence, ...]:
        """torchvision's own terms; for its weights it leaves the question to the user."""
        name = _name(architecture)
        published = Licence(
            f"weights of {name}",
            origins.UNKNOWN,
            "torchvision's README: pretrained models may have their own licences, derived from "
            f"the data they were trained on ({_published(architecture).url})",
        )
        return (
            origins.package_licence("torchvision"),
            origins.weights_licence(name, weights, pretrained=published),
        )


def _known() -> Sequence[str]:
    return tuple(n for n in models.list_models(module=models) if n not in _UNCUT)


def _name(architecture: str) -> str:
    name = f"torchvision:{architecture}"
    if architecture not in models.list_models(module=models):
        raise UnknownNameError("torchvision architecture", architecture, _known(), within=name)
    return name


def _fitted(state: dict[str, Tensor], network: nn.Module, image_size: int) -> dict[str, Tensor]:
    """Weights with the names of today's DenseNet, and positions for this image size."""
    state = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", k): state[k] for k in state
    }
    if isinstance(network, VisionTransformer) and "encoder.pos_embedding" in state:
        return dict(interpolate_embeddings(image_size, network.patch_size, state))
    return state


def _published(architecture: str) -> Any:
    return models.get_model_weights(architecture)["DEFAULT"]


def _own_size(architecture: str) -> int:
    return int(_published(architecture).transforms().crop_size[0])


def _preprocessing(architecture: str, image_size: int) -> Preprocessing:
    published = _published(architecture).transforms()
    return Preprocessing(
        image_size, published.interpolation.value, tuple(published.mean), tuple(published.std)
    )
