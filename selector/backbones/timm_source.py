"""The source `timm:`: every network of timm that has five stages, with or without a weights tag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import timm
from torch import nn

from selector.backbones import downloads, origins, stages_timm, timm_networks
from selector.backbones import weights as weight_files
from selector.backbones.base import Backbone, LibraryNetwork
from selector.errors import InputError, UnknownNameError
from selector.records import Licence

_FILES = ("model.safetensors", "pytorch_model.bin")


class TimmSource:
    """timm's networks, by architecture or `architecture.tag`."""

    def known(self) -> Sequence[str]:
        """Names of timm's networks. A few have no five stages, which `check` finds out."""
        return tuple(timm.list_models())

    def check(self, architecture: str, *, weights: str) -> None:
        """Raise what `build` would raise, without reading weights; missing ones are fetched."""
        name = _name(architecture)
        timm_networks.find_stages(name, architecture, timm_networks.own_size(architecture))
        weight_files.local_file(weights, name=name)
        if weights == weight_files.PRETRAINED:
            _pretrained_file(name, architecture)

    def build(self, architecture: str, *, weights: str, image_size: int, seed: int) -> Backbone:
        """The backbone with timm's weights, or drawn from `seed`, or from a file."""
        name = _name(architecture)
        groups, feature_dim = timm_networks.find_stages(name, architecture, image_size)
        file = weight_files.local_file(weights, name=name)
        weights_id = f"{name}/{image_size}/seed-{seed}/timm-{timm.__version__}"
        if weights == weight_files.PRETRAINED:
            file = _pretrained_file(name, architecture)
            network = _pretrained(name, architecture, file, image_size=image_size)
        else:
            with weight_files.drawn_from(seed):
                network = timm_networks.create(architecture, image_size)
        cut = stages_timm.cut(network, groups)
        if file is not None:
            weights_id = f"{name}/{image_size}/{weight_files.digest(file)}"
            if weights != weight_files.PRETRAINED:
                timm_networks.fill_from_file(network, cut, file, name=name)
        return Backbone(
            name,
            cut.stages,
            feature_dim=feature_dim,
            preprocessing=timm_networks.preprocessing(architecture, image_size),
            weights_id=weights_id,
        ).eval()

    def library_network(
        self, architecture: str, *, image_size: int, n_classes: int
    ) -> LibraryNetwork | None:
        """timm's network of this name."""
        name = _name(architecture)
        return timm_networks.library_network(
            name, architecture, image_size=image_size, n_classes=n_classes
        )

    def licences(self, architecture: str, *, weights: str) -> tuple[Licence, ...]:
        """timm's own terms, and those it lists for these weights."""
        name = _name(architecture)
        about = timm_networks.published(architecture)
        listed = Licence(
            f"weights of {name}",
            about.license or origins.UNKNOWN,
            f"timm's list of pretrained weights ({about.hf_hub_id or about.url or 'no address'})",
        )
        return (
            origins.package_licence("timm"),
            origins.weights_licence(name, weights, pretrained=listed),
        )


def _name(architecture: str) -> str:
    name = f"timm:{architecture}"
    bare, _, tag = architecture.partition(".")
    if not timm.is_model(bare):
        raise UnknownNameError("timm architecture", bare, timm.list_models(), within=name)
    tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{bare}.*")]
    if tag and tag not in tags:
        raise UnknownNameError(f"weights tag of timm's {bare}", tag, tags, within=name)
    return name


def _pretrained_file(name: str, architecture: str) -> Path:
    about = timm_networks.published(architecture)
    if about.hf_hub_id:
        files = (about.hf_hub_filename,) if about.hf_hub_filename else _FILES
        return downloads.hugging_face_file(about.hf_hub_id, files, name=name)
    if isinstance(about.url, str) and about.url:
        return downloads.torch_hub_file(about.url, name=name)
    raise InputError(
        f"'{name}' was published without weights. Use `weights: random`, or give a file: "
        f"backbones: {name}: {{weights: FILE}}."
    )


def _pretrained(name: str, architecture: str, file: Path, *, image_size: int) -> nn.Module:
    """The network filled by timm's own loading code, which knows each publisher's format."""
    try:
        with weight_files.drawn_from(0):
            return timm_networks.create(
                architecture,
                image_size,
                pretrained=True,
                pretrained_cfg_overlay={"file": str(file)},
            )
    except weight_files.UNREADABLE as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise InputError(
            f"Weights file '{file}' of {name} cannot be loaded: {reason}. "
            "Delete it to fetch it again."
        ) from error
