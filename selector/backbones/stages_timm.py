"""Five stages of timm's networks, found by watching which modules follow one another.

A network is cut where its `forward_features` is a plain row of modules, each taking what the one
before gave. Vision transformers put tokens and positions in between, so they have their own cut.
What comes after, `forward_head` up to the last linear layer with its dropout, ends stage 5.
"""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from selector.backbones.base import STAGES
from selector.backbones.cuts import Cut, NoStagesError, sequence, shell, spread, without
from selector.backbones.tracing import (
    Call,
    Trace,
    calls,
    image_on_meta,
    is_chain,
    trace,
    trace_until,
)

Groups = tuple[tuple[str, ...], ...]
_Network = Any  # timm's attributes are Any

_EMBEDDING = ("patch_embed", "pos_drop", "patch_drop", "norm_pre")


def find_groups(twin: _Network, *, image_size: int) -> Groups:
    """The names of the modules of each stage, found on a twin on the meta device.

    Raises NoStagesError where the features are not a row of modules.
    """
    if isinstance(twin, VisionTransformer):
        counts = spread(len(twin.blocks))
        starts = [sum(counts[:i]) for i in range(STAGES)]
        return tuple(
            tuple(f"blocks.{start + i}" for i in range(count))
            for start, count in zip(starts, counts, strict=True)
        )
    image = image_on_meta(image_size)
    root = calls(twin, twin.forward_features, image=image)
    if not is_chain(root.within, root.given, root.gave):
        raise NoStagesError("its features are not a row of modules")
    levels = [str(info["module"]) for info in getattr(twin, "feature_info", [])]
    return _by_resolution(root.within, levels) or _evenly(root.within)


def cut(network: nn.Module, groups: Groups) -> Cut:
    """The stages of a network whose groups were found on its twin."""
    classifier = classifier_names(network)
    parts = [sequence(network, names) for names in groups]
    used = {name.split(".")[0] for names in groups for name in names}
    rest = [name for name, _ in network.named_children() if name not in used]
    if isinstance(network, VisionTransformer):
        parts[0].insert(0, ("embedding", _VitEmbedding(network)))
        rest = [name for name in rest if name not in _EMBEDDING]
        parts[-1].append(("head", _Head(network, rest, normalise=True)))
    else:
        parts[-1].append(("head", _Head(network, rest, normalise=False)))
    stages = tuple(nn.Sequential(OrderedDict(part)) for part in parts)
    return Cut(stages, classifier)


def reference(twin: nn.Module, *, image_size: int) -> Trace:
    """What the library computes up to the input of its last linear layer."""
    image = image_on_meta(image_size)
    names = classifier_names(twin)
    layers = [twin.get_submodule(name) for name in names]
    if not layers:
        return trace(twin, twin, image=image)  # published without classes: all of it is features
    if not all(_is_linear(layer) for layer in layers):
        raise NoStagesError("its last layer is not linear")
    if len(layers) == 1:
        return trace_until(twin, layers[0], image=image)
    network: _Network = twin  # a distilled network has two last layers; timm averages their inputs
    return trace(
        twin,
        lambda x: network.forward_head(network.forward_features(x), pre_logits=True),
        image=image,
    )


def classifier_names(network: _Network) -> tuple[str, ...]:
    """The names of the last layers: one, two where distilled, none where it has no classes."""
    found = network.get_classifier()
    layers = found if isinstance(found, tuple) else (found,)
    return tuple(
        name
        for name, module in network.named_modules()
        if any(module is layer for layer in layers) and not isinstance(module, nn.Identity)
    )


class _VitEmbedding(nn.Module):
    """Patches, class token and positions of timm's VisionTransformer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: _Network = shell(network, _EMBEDDING, parameters=True)

    def forward(self, images: Tensor) -> Tensor:
        """Tokens (batch, tokens, features) of images (batch, 3, size, size)."""
        x = self.network.patch_embed(images)
        x = self.network.patch_drop(self.network._pos_embed(x))
        tokens: Tensor = self.network.norm_pre(x)
        return tokens


class _Head(nn.Module):
    """The library's own way from its feature map to the input of its last linear layer."""

    def __init__(self, network: nn.Module, keep: Sequence[str], *, normalise: bool) -> None:
        super().__init__()
        part = shell(network, keep, parameters=False)
        for name in classifier_names(network):
            part = without(part, name)
        self.network: _Network = part
        self.normalise = normalise

    def forward(self, x: Tensor) -> Tensor:
        """Features (batch, features) of a feature map or of tokens."""
        if self.normalise:
            x = self.network.norm(x)
        features: Tensor = self.network.forward_head(x, pre_logits=True)
        return features


def _is_linear(layer: nn.Module) -> bool:
    one_by_one = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
    return isinstance(layer, nn.Linear) or one_by_one


def _by_resolution(row: Sequence[Call], levels: Sequence[str]) -> Groups | None:
    """Groups that end where the library says a resolution ends; None if it names too few."""
    units = _opened(row, levels)
    names = [unit.name for unit in units]
    if not 4 <= len(levels) <= STAGES + 1 or not set(levels) <= set(names):
        return None
    ends = [names.index(level) + 1 for level in levels]
    if len(levels) == STAGES - 1:
        ends = [ends[0] - 1, *ends[:-1]]  # four resolutions: the stem is a stage of its own
    groups = _grouped(names, ends[: STAGES - 1])
    return groups if all(_has_parameters(units, group) for group in groups) else None


def _evenly(row: Sequence[Call]) -> Groups:
    """Groups with the same number of the network's repeated blocks, give or take one."""
    units = _blocks(row)
    kinds = Counter(type(unit.module) for unit in units if any(unit.module.children()))
    if not kinds or kinds.most_common(1)[0][1] < STAGES:
        raise NoStagesError(f"it has fewer than {STAGES} blocks in a row")
    block = kinds.most_common(1)[0][0]
    positions = [i for i, unit in enumerate(units) if type(unit.module) is block]
    counts = spread(len(positions))
    ends = [positions[sum(counts[: i + 1]) - 1] + 1 for i in range(STAGES - 1)]
    return _grouped([unit.name for unit in units], ends)


def _grouped(names: Sequence[str], ends: Sequence[int]) -> Groups:
    bounds = [0, *ends, len(names)]
    return tuple(tuple(names[a:b]) for a, b in itertools.pairwise(bounds))


def _opened(row: Sequence[Call], levels: Sequence[str]) -> list[Call]:
    """The row with every container that a level lies inside of replaced by its own row."""
    units: list[Call] = []
    for call in row:
        holds_level = any(level.startswith(f"{call.name}.") for level in levels)
        units += _opened(call.within, levels) if holds_level and _is_row(call) else [call]
    return units


def _blocks(row: Sequence[Call]) -> list[Call]:
    """The row with every plain container replaced by its own row."""
    units: list[Call] = []
    for call in row:
        plain = type(call.module) is nn.Sequential and _is_row(call)
        units += _blocks(call.within) if plain else [call]
    return units


def _is_row(call: Call) -> bool:
    own = any(True for _ in call.module.parameters(recurse=False))
    return not own and is_chain(call.within, call.given, call.gave)


def _has_parameters(units: Sequence[Call], group: Sequence[str]) -> bool:
    return any(any(True for _ in unit.module.parameters()) for unit in units if unit.name in group)
