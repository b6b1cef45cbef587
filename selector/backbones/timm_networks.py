"""timm's networks for one image size, with the proof that their five stages are right."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import Any, Literal, cast

import timm
from timm.models import PretrainedCfg
from torch import Tensor, nn

from selector.backbones import cuts, origins, stages_timm
from selector.backbones import weights as weight_files
from selector.backbones.base import LibraryNetwork
from selector.backbones.cuts import Cut
from selector.backbones.tracing import twin
from selector.records import Preprocessing

_Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos"]


def published(architecture: str) -> PretrainedCfg:
    """What timm says of an architecture's weights and their preprocessing."""
    return timm.get_pretrained_cfg(architecture) or PretrainedCfg()


def own_size(architecture: str) -> int:
    """The image size its weights were made for."""
    return int(published(architecture).input_size[-1])


def preprocessing(architecture: str, image_size: int) -> Preprocessing:
    """The mean, deviation and interpolation its weights were made with."""
    about = published(architecture)
    known = about.interpolation in ("bilinear", "bicubic", "nearest", "lanczos")
    interpolation = cast(_Interpolation, about.interpolation if known else "bicubic")
    mean, std = (cast("tuple[float, float, float]", tuple(v)) for v in (about.mean, about.std))
    return Preprocessing(image_size, interpolation, mean, std)


def create(architecture: str, image_size: int, **options: Any) -> nn.Module:
    """The library's network, built for `image_size` where it must know it."""
    return timm.create_model(architecture, **_size_options(architecture, image_size), **options)


def library_network(
    name: str, architecture: str, *, image_size: int, n_classes: int
) -> LibraryNetwork | None:
    """How timm makes this network with a head of its own."""
    groups, _ = find_stages(name, architecture, image_size)
    network = twin(lambda: create(architecture, image_size, num_classes=n_classes))
    options = _size_options(architecture, image_size)
    cut = stages_timm.cut(network, groups)
    return origins.library_network("timm", architecture, options, network, cut)


@functools.lru_cache(maxsize=256)
def find_stages(name: str, architecture: str, image_size: int) -> tuple[stages_timm.Groups, int]:
    """The groups of modules that make the stages, and the size of the features.

    `name` is for messages. Raises InputError where there are none or the size is not taken.
    """
    _check_patches(name, architecture, image_size)
    try:
        network = twin(lambda: create(architecture, image_size))
        groups = stages_timm.find_groups(network, image_size=image_size)
        expected = stages_timm.reference(network, image_size=image_size)
        cut = stages_timm.cut(network, groups)
        return groups, cuts.prove(network, cut, expected=expected, image_size=image_size)
    except cuts.NoStagesError as error:
        raise cuts.no_stages(name, error) from error
    except (AssertionError, RuntimeError, ValueError, ZeroDivisionError) as error:
        if image_size == own_size(architecture):
            raise cuts.no_stages(name, f"it does not run on shapes alone ({error})") from error
        find_stages(name, architecture, own_size(architecture))  # or else no size will do
        allowed = f"{_one_line(error)}; its own size is {own_size(architecture)}"
        raise cuts.wrong_size(name, image_size, allowed) from error


def fill_from_file(network: nn.Module, cut: Cut, file: Path, *, name: str) -> None:
    """Load a file made with this architecture, also at another image size or class count."""
    state = weight_files.read(file)
    # timm's own conversion of older names and of position embeddings to this image size.
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    state = _converted(convert, state, network) if convert is not None else state
    origin = f"Weights file '{file}' of {name}"
    weight_files.fill(network, state, origin=origin, classifier=cut.classifier)


def _converted(convert: Any, state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    try:
        return dict(convert(state, network))
    except (KeyError, RuntimeError, AttributeError, AssertionError):
        return state  # not a file of this architecture: the comparison of keys says so better


def _size_options(architecture: str, image_size: int) -> dict[str, Any]:
    return {"img_size": image_size} if _takes_size(architecture) else {}


@functools.lru_cache(maxsize=1024)
def _takes_size(architecture: str) -> bool:
    if published(architecture).fixed_input_size:
        return True
    network = twin(lambda: timm.create_model(architecture))
    return "img_size" in inspect.signature(type(network).__init__).parameters


def _check_patches(name: str, architecture: str, image_size: int) -> None:
    if not _takes_size(architecture):
        return
    network: Any = twin(lambda: create(architecture, own_size(architecture)))
    size = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    patch = size[0] if isinstance(size, tuple) else size
    if isinstance(patch, int) and (image_size < patch or image_size % patch):
        allowed = f"its patches allow multiples of {patch}"
        raise cuts.wrong_size(name, image_size, allowed)


def _one_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
