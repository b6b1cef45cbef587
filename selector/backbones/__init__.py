"""Backbones by name: `source:architecture` gives five stages, preprocessing and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selector.backbones.base import STAGES, Backbone, BackboneSource, LibraryNetwork
from selector.errors import InputError, UnknownNameError
from selector.records import Licence

__all__ = [
    "SOURCES",
    "STAGES",
    "Backbone",
    "LibraryNetwork",
    "check",
    "known",
    "library_network",
    "licences",
    "load",
    "split_name",
]

SOURCES = ("bundled", "timm", "torchvision", "toy")


def load(
    name: str, *, weights: str = "pretrained", image_size: int = 224, seed: int = 0
) -> Backbone:
    """The backbone `source:architecture`, on CPU, in float32, in eval mode.

    `weights` is "pretrained", "random" (drawn from `seed`) or a .safetensors / .pth file. The same
    arguments give the same weights, and the global random state stays as it was. Raises InputError
    for a wrong name, file or image size, UnavailableError for weights out of reach.
    """
    source, architecture = split_name(name)
    return _source(source).build(architecture, weights=weights, image_size=image_size, seed=seed)


def check(name: str, *, weights: str = "pretrained") -> None:
    """Raise what `load` would raise for this name and these weights, without reading them.

    Pretrained weights that are not on this machine are downloaded now, or, offline, refused now.
    """
    source, architecture = split_name(name)
    _source(source).check(architecture, weights=weights)


def library_network(name: str, *, image_size: int, n_classes: int) -> LibraryNetwork | None:
    """How a library makes this network by itself; None where only this package can."""
    source, architecture = split_name(name)
    return _source(source).library_network(architecture, image_size=image_size, n_classes=n_classes)


def licences(name: str, *, weights: str) -> tuple[Licence, ...]:
    """What is known of the terms of a network's code and weights, and from where."""
    source, architecture = split_name(name)
    return _source(source).licences(architecture, weights=weights)


def known() -> Mapping[str, Sequence[str]]:
    """Every source with the architectures it can build."""
    return {source: _source(source).known() for source in SOURCES}


def split_name(name: str) -> tuple[str, str]:
    """`timm:resnet18` as ("timm", "resnet18"). Raises InputError, also for an unknown source."""
    source, colon, architecture = name.partition(":")
    if not (source and colon and architecture):
        raise InputError(
            f"Backbone '{name}' names no source. Write SOURCE:ARCHITECTURE, such as "
            f"'timm:resnet18'. Known sources: {', '.join(SOURCES)}."
        )
    if source not in SOURCES:
        raise UnknownNameError("backbone source", source, SOURCES, within=name)
    return source, architecture


def _source(source: str) -> BackboneSource:
    match source:
        case "bundled":
            from selector.backbones.bundled import BundledSource

            return BundledSource()
        case "timm":
            from selector.backbones.timm_source import TimmSource

            return TimmSource()
        case "torchvision":
            from selector.backbones.torchvision_source import TorchvisionSource

            return TorchvisionSource()
        case "toy":
            from selector.backbones.toy import ToySource

            return ToySource()
        case _:
            raise UnknownNameError("backbone source", source, SOURCES)
