"""The source `toy:`: a tiny convolutional network that needs no download, for tests and trials."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from selector.backbones import origins
from selector.backbones import weights as weight_files
from selector.backbones.base import Backbone, LibraryNetwork
from selector.errors import InputError, UnknownNameError
from selector.records import Licence, Preprocessing

_CHANNELS = (16, 24, 32, 40, 64)
_STRIDES = (1, 2, 2, 1, 2)
_PRETRAINED_SEED = 20_260_101  # "pretrained" is one fixed draw: the same everywhere, untrained
_SMALLEST = 8


class ToySource:
    """One tiny network that needs nothing."""

    def known(self) -> Sequence[str]:
        """The one architecture of this source."""
        return ("cnn",)

    def check(self, architecture: str, *, weights: str) -> None:
        """Raise UnknownNameError or InputError for a wrong architecture or weights file."""
        if architecture not in self.known():
            raise UnknownNameError(
                "toy architecture", architecture, self.known(), within=f"toy:{architecture}"
            )
        weight_files.local_file(weights, name=f"toy:{architecture}")

    def build(self, architecture: str, *, weights: str, image_size: int, seed: int) -> Backbone:
        """Convolution, BatchNorm, ReLU and a little dropout, five times: about 46k parameters."""
        self.check(architecture, weights=weights)
        name = f"toy:{architecture}"
        if image_size < _SMALLEST:
            raise InputError(f"{name} takes images of {_SMALLEST} px and more, not {image_size}.")
        file = weight_files.local_file(weights, name=name)
        seed = _PRETRAINED_SEED if weights == weight_files.PRETRAINED else seed
        with weight_files.drawn_from(seed):
            stages = nn.ModuleList(_stage(position) for position in range(len(_CHANNELS)))
        weights_id = f"{name}/seed-{seed}"
        if file is not None:
            state = weight_files.read(file)
            weight_files.fill(stages, state, origin=f"Weights file '{file}'", classifier=())
            weights_id = f"{name}/{weight_files.digest(file)}"
        backbone = Backbone(
            name,
            list(stages),
            feature_dim=_CHANNELS[-1],
            preprocessing=Preprocessing(image_size, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            weights_id=weights_id,
        )
        return backbone.eval()

    def library_network(
        self, architecture: str, *, image_size: int, n_classes: int
    ) -> LibraryNetwork | None:
        """None: this package alone can make it."""
        del architecture, image_size, n_classes
        return None

    def licences(self, architecture: str, *, weights: str) -> tuple[Licence, ...]:
        """The terms of this package."""
        name = f"toy:{architecture}"
        code = origins.package_licence("selector-finetune")
        drawn = Licence(f"weights of {name}", "none: drawn at random", "the source `toy`")
        return code, origins.weights_licence(name, weights, pretrained=drawn)


def _stage(position: int) -> nn.Sequential:
    given = _CHANNELS[position - 1] if position else 3
    layers: list[nn.Module] = [
        nn.Conv2d(given, _CHANNELS[position], 3, _STRIDES[position], 1, bias=False),
        nn.BatchNorm2d(_CHANNELS[position]),
        nn.ReLU(),
        nn.Dropout2d(0.05),
    ]
    if position == len(_CHANNELS) - 1:
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(1)]
    return nn.Sequential(*layers)
