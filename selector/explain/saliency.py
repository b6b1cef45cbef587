"""Where a network looked: Grad-CAM on whatever its fourth stage gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from selector.errors import InputError
from selector.training import Network

TAPPED_STAGES = 4  # of five: the last one ends in pooled features, without a place in the image


def saliency(network: Network, images: Tensor, targets: Sequence[int]) -> Tensor:
    """Where `network` looked for the classes `targets`: (n, height, width) from 0 to 1.

    Grad-CAM (Selvaraju et al. 2017) on the output of the fourth stage, for maps and for tokens;
    `images` are normalised, (n, 3, height, width).
    """
    from captum.attr import LayerAttribution, LayerGradCam

    tapped = _Tapped(network).eval()
    heat = LayerGradCam(tapped, tapped.tap).attribute(
        images.requires_grad_(True), target=list(targets), relu_attributions=True
    )
    heat = LayerAttribution.interpolate(heat.detach(), tuple(images.shape[-2:]), "bilinear")
    maps: Tensor = heat[:, 0]
    return maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)


class _Tapped(nn.Module):
    """A network whose fourth stage passes a layer that sees it as maps (n, channels, h, w)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.tap = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        stages = self.network.backbone.stages
        x = images
        for stage in stages[:TAPPED_STAGES]:
            x = stage(x)
        x = self._through_tap(x)
        for stage in stages[TAPPED_STAGES:]:
            x = stage(x)
        logits: Tensor = self.network.head(x)
        return logits

    def _through_tap(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            # Swin and its kin keep channels last: the two equal sides are the image's.
            last = x.shape[1] == x.shape[2] != x.shape[3]
            seen: Tensor = self.tap(x.permute(0, 3, 1, 2) if last else x)
            return seen.permute(0, 2, 3, 1) if last else seen
        if x.dim() != 3:
            raise InputError("This architecture has no maps to look at.")
        side = math.isqrt(x.shape[1])
        extra = x.shape[1] - side * side  # class and register tokens, which have no place
        maps = x[:, extra:].transpose(1, 2).reshape(len(x), -1, side, side)
        tokens = self.tap(maps).flatten(2).transpose(1, 2)
        return torch.cat([x[:, :extra], tokens], dim=1)
