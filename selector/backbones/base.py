"""The seam of backbone sources: what every source must give, and the five-stage backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from selector.records import Licence, Preprocessing

STAGES = 5


class Backbone(nn.Module):
    """A pretrained feature extractor in five ordered stages, with its preprocessing.

    `stages` composed map images (batch, 3, size, size) to features (batch, feature_dim), the input
    of the architecture's last linear layer.
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[nn.Module],
        *,
        feature_dim: int,
        preprocessing: Preprocessing,
        weights_id: str,
    ) -> None:
        super().__init__()
        if len(stages) != STAGES:
            raise ValueError(f"{name}: a backbone has {STAGES} stages, not {len(stages)}")
        self.name = name
        self.stages = nn.ModuleList(stages)
        self.feature_dim = feature_dim
        self.preprocessing = preprocessing
        self.weights_id = weights_id  # changes with anything that changes the weights

    def forward(self, images: Tensor) -> Tensor:
        """Features (batch, feature_dim) of images (batch, 3, size, size)."""
        x: Tensor = images
        for stage in self.stages:
            x = stage(x)
        return x

    def stage_parameters(self) -> tuple[int, ...]:
        """Number of parameters of each stage, first to last."""
        return tuple(sum(p.numel() for p in stage.parameters()) for stage in self.stages)


@dataclass(frozen=True, slots=True)
class LibraryNetwork:
    """How a library makes a backbone's network with a head, by itself.

    `names` gives every tensor of the stages (as in `Backbone.stages.state_dict()`) its name in the
    library's network; `heads` are the names of the layers that stand for the head.
    """

    library: str  # the package that is imported
    architecture: str  # as the library calls it
    options: Mapping[str, Any]  # besides the number of classes
    names: Mapping[str, str]
    heads: tuple[str, ...]


class BackboneSource(Protocol):
    """A library or package that backbones come from."""

    def known(self) -> Sequence[str]:
        """Names this source can build, without its prefix, for messages and `schema`."""
        ...

    def check(self, architecture: str, *, weights: str) -> None:
        """Raise UnknownNameError, InputError or UnavailableError if `build` could not succeed.

        Reads no weights; pretrained weights that are not here yet are fetched.
        """
        ...

    def build(self, architecture: str, *, weights: str, image_size: int, seed: int) -> Backbone:
        """The backbone, on CPU, in float32, in eval mode.

        `weights` is "pretrained", "random" (drawn from `seed`) or the path of a .safetensors or
        .pth file.
        """
        ...

    def library_network(
        self, architecture: str, *, image_size: int, n_classes: int
    ) -> LibraryNetwork | None:
        """How to make the network without this package; None where no library can."""
        ...

    def licences(self, architecture: str, *, weights: str) -> tuple[Licence, ...]:
        """What is known of the terms of the network's code and of its weights."""
        ...
