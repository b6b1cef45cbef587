"""Stages out of a library's network: shared building blocks, and the proof that a cut is right."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from selector.backbones.base import STAGES
from selector.backbones.tracing import Trace, image_on_meta, trace
from selector.errors import InputError


@dataclass(frozen=True, slots=True)
class Cut:
    """Five stages that hold the network's own modules, and the names of its classifier modules."""

    stages: tuple[nn.Sequential, ...]
    classifier: tuple[str, ...]


class NoStagesError(ValueError):
    """Why five stages cannot be found; the sources turn it into an InputError."""


def shell(network: nn.Module, keep: Collection[str], *, parameters: bool) -> nn.Module:
    """A copy of `network` with its own methods, that holds only the children named in `keep`.

    `parameters` says whether its direct parameters and buffers stay. Nothing is copied: children
    and tensors are the network's own.
    """
    part = copy.copy(network)
    part._modules = {k: v for k, v in network._modules.items() if k in keep}
    part._parameters = dict(network._parameters) if parameters else {}
    part._buffers = dict(network._buffers) if parameters else {}
    return part


def without(module: nn.Module, path: str) -> nn.Module:
    """A copy of `module` that lacks the descendant at the dotted `path`; all else is shared."""
    name, _, below = path.partition(".")
    part = copy.copy(module)
    part._modules = dict(module._modules)
    child = part._modules.pop(name)
    if below and child is not None:
        part._modules[name] = without(child, below)
    return part


def sequence(network: nn.Module, names: Sequence[str]) -> list[tuple[str, nn.Module]]:
    """The modules of `network` with these names, to be run one after the other."""
    return [(name.replace(".", "_"), network.get_submodule(name)) for name in names]


def prove(network: nn.Module, cut: Cut, *, expected: Trace, image_size: int) -> int:
    """The feature dimension, once it is certain that the stages compute what the library computes.

    `network` is a twin on the meta device in eval mode. Its stages must do the operations of
    `expected`, one for one, and hold every parameter but the classifier's exactly once.
    """
    composed = nn.Sequential(*cut.stages)
    # Only the same image object gives comparable traces of tensors made outside of both.
    actual = trace(network, composed, image=image_on_meta(image_size))
    if actual != expected:
        raise NoStagesError("its stages in a row do not compute its features")
    if len(expected.shape) != 2 or len(cut.stages) != STAGES:
        raise NoStagesError(f"its features have the shape {expected.shape}, not (batch, features)")
    below = tuple(f"{module}." for module in cut.classifier)
    own = {id(p) for key, p in network.named_parameters() if not key.startswith(below)}
    held = [id(p) for stage in cut.stages for p in stage.parameters()]
    if len(held) != len(set(held)) or set(held) != own:
        raise NoStagesError("some of its parameters belong to no stage, or to several")
    if not all(any(True for _ in stage.parameters()) for stage in cut.stages):
        raise NoStagesError("one of its stages would have no parameters")
    return expected.shape[1]


def no_stages(name: str, reason: object) -> InputError:
    """The error of an architecture that cannot be cut."""
    return InputError(
        f"No five stages can be found in '{name}': {reason}. "
        "Choose an architecture with a plain sequence of blocks, such as 'timm:resnet18'."
    )


def wrong_size(name: str, image_size: int, allowed: str) -> InputError:
    """The error of an image size that the architecture does not take."""
    return InputError(
        f"'{name}' cannot take images of {image_size} px: {allowed}. Change search.image_size."
    )


class FirstToken(nn.Module):
    """The class token (batch, features) of tokens (batch, tokens, features)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Token 0 of every sample."""
        return tokens[:, 0]


class SpatialMean(nn.Module):
    """The mean (batch, channels) of a map (batch, channels, height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        """Global average pooling."""
        return x.mean([2, 3])


def spread(count: int) -> list[int]:
    """How many of `count` blocks each stage takes: evenly, the earlier stages one more."""
    return [count // STAGES + (position < count % STAGES) for position in range(STAGES)]
