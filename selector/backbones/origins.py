"""Where networks come from: their names in their own library, and the terms they are under."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from torch import nn

from selector.backbones.base import LibraryNetwork
from selector.backbones.cuts import Cut
from selector.backbones.weights import PRETRAINED, RANDOM
from selector.records import Licence

UNKNOWN = "unknown: check before you ship"
_SAYS_NOTHING = ("", "UNKNOWN")


def library_network(
    library: str,
    architecture: str,
    options: Mapping[str, Any],
    network: nn.Module,
    cut: Cut,
) -> LibraryNetwork | None:
    """The names that `library` gives to the tensors of a cut network; None if any has none.

    The stages hold the network's own tensors, so a tensor is found by being the same object.
    """
    own = {id(tensor): name for name, tensor in network.state_dict(keep_vars=True).items()}
    stages = nn.ModuleList(cut.stages).state_dict(keep_vars=True)
    names = {key: own[id(tensor)] for key, tensor in stages.items() if id(tensor) in own}
    below = tuple(f"{head}." for head in cut.classifier)
    body = {name for name in own.values() if not name.startswith(below)}
    if len(names) != len(stages) or set(names.values()) != body or not cut.classifier:
        return None
    return LibraryNetwork(library, architecture, options, names, cut.classifier)


def package_licence(distribution: str, *, part: str | None = None) -> Licence:
    """What an installed package says of its own licence."""
    about = importlib.metadata.metadata(distribution).json
    version = importlib.metadata.version(distribution)
    said = (str(about.get(key) or "") for key in ("license_expression", "license"))
    terms = next((text for text in said if text not in _SAYS_NOTHING), UNKNOWN)
    source = f"metadata of the package {distribution} {version}"
    return Licence(part or f"{distribution} (code)", terms.splitlines()[0], source)


def weights_licence(name: str, weights: str, *, pretrained: Licence) -> Licence:
    """The terms of weights that may also be drawn at random or the user's own file."""
    if weights == PRETRAINED:
        return pretrained
    if weights == RANDOM:
        return Licence(f"weights of {name}", "none: drawn at random", "the study file")
    return Licence(f"weights of {name}", UNKNOWN, f"a file of your own: {weights}")
