"""torchvision's networks for one image size, with the proof that their five stages are right."""

from __future__ import annotations

import functools
from typing import Any, cast

from torch import nn
from torchvision import models

from selector.backbones import cuts, origins, stages_torchvision
from selector.backbones.base import LibraryNetwork
from selector.backbones.tracing import image_on_meta, trace_until, twin


def create(name: str, architecture: str, image_size: int, **others: Any) -> nn.Module:
    """The library's network, built for `image_size` where it must know it.

    `name` is for messages. Raises InputError where the size is not taken.
    """
    builder = models.get_model_builder(architecture)
    if architecture.startswith("vit_"):
        patch = int(architecture.rsplit("_", 1)[-1])
        if image_size < patch or image_size % patch:
            raise cuts.wrong_size(name, image_size, f"its patches allow multiples of {patch}")
    options = {**_size_options(architecture, image_size), **others}
    try:
        return cast(nn.Module, builder(**options))
    except ValueError as error:
        if not architecture.startswith("maxvit"):
            raise
        allowed = "its windows allow multiples of 224"
        raise cuts.wrong_size(name, image_size, allowed) from error


def library_network(
    name: str, architecture: str, *, image_size: int, n_classes: int
) -> LibraryNetwork | None:
    """How torchvision makes this network with a head of its own."""
    network = twin(lambda: create(name, architecture, image_size, num_classes=n_classes))
    options = _size_options(architecture, image_size)
    cut = stages_torchvision.cut(network)
    return origins.library_network("torchvision", architecture, options, network, cut)


def _size_options(architecture: str, image_size: int) -> dict[str, Any]:
    if architecture.startswith("vit_"):
        return {"image_size": image_size}
    if architecture.startswith("maxvit"):
        return {"input_size": (image_size, image_size)}
    return {}


@functools.lru_cache(maxsize=256)
def find_feature_dim(name: str, architecture: str, image_size: int) -> int:
    """Size of the features, after the proof that the stages compute them at this image size."""
    network = twin(lambda: create(name, architecture, image_size))
    try:
        cut = stages_torchvision.cut(network)
        last = network.get_submodule(cut.classifier[0])
        expected = trace_until(network, last, image=image_on_meta(image_size))
        return cuts.prove(network, cut, expected=expected, image_size=image_size)
    except cuts.NoStagesError as error:
        raise cuts.no_stages(name, error) from error
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise cuts.wrong_size(name, image_size, f"they are too small ({reason})") from error
