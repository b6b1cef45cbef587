"""A backbone with a head, the leading stages of which are frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

import torch
from torch import Tensor, nn

from selector.backbones.base import STAGES, Backbone
from selector.errors import ConflictError, InputError


class Network(nn.Module):
    """A backbone and a head; the first `freeze_depth` stages are the prefix, the rest the suffix.

    The prefix keeps its weights and stays in evaluation mode whatever `train` is called with, so
    that its output is a function of the image alone: no dropout, no moving normalisation
    statistics.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, *, freeze_depth: int) -> None:
        super().__init__()
        if not 0 <= freeze_depth <= STAGES:
            raise InputError(f"Freeze depth {freeze_depth} is outside 0..{STAGES}.")
        self.backbone = backbone
        self.head = head
        self.freeze_depth = freeze_depth
        for stage in self._frozen_stages():
            stage.requires_grad_(False)
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of normalised images (batch, 3, height, width)."""
        return self.suffix(self.prefix(images))

    def prefix(self, images: Tensor) -> Tensor:
        """What the frozen stages make of images; the images themselves at freeze depth 0."""
        x = images
        with torch.no_grad():
            for stage in self._frozen_stages():
                x = stage(x)
        return x

    def suffix(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of the prefix's output."""
        for stage in self.backbone.stages[self.freeze_depth :]:
            x = stage(x)
        logits: Tensor = self.head(x)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Switch the suffix to training mode; the frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in self._frozen_stages():
            stage.eval()
        return self

    def place(self, device: torch.device) -> Self:
        """Move to a device, convolution weights in channels-last order; gives itself."""
        # torch's stubs know `memory_format` together with a tensor only.
        return self.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def parameter_count(self) -> int:
        """The number of weights, frozen ones included."""
        return sum(p.numel() for p in self.parameters())

    def trained_parameter_count(self) -> int:
        """The number of weights that training may change."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def trained_state(self) -> dict[str, Tensor]:
        """A copy on the CPU of all that training may change: suffix and head, buffers included."""
        return {name: live.to("cpu", copy=True) for name, live in self._live_state().items()}

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `trained_state` gave; names and shapes must agree exactly."""
        expected = self._live_state()
        wrong = [
            *(f"'{name}' is missing" for name in expected if name not in state),
            *(f"'{name}' is not part of this network" for name in state if name not in expected),
            *(
                f"'{name}' has shape {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
                for name, tensor in expected.items()
                if name in state and state[name].shape != tensor.shape
            ),
        ]
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise ConflictError(
                f"The checkpoint does not fit {self.backbone.name} at freeze depth "
                f"{self.freeze_depth}: {'; '.join(wrong[:3])}{more}. "
                "Load it into the network that its recipe describes."
            )
        for prefix, part in self.trained_parts():
            start = len(prefix) + 1
            own = {k[start:]: v for k, v in state.items() if k.startswith(f"{prefix}.")}
            part.load_state_dict(own, strict=True)

    def trained_parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The trained stages (`stages.3`, ...) in order, then the `head`."""
        for number in range(self.freeze_depth, STAGES):
            yield f"stages.{number}", self.backbone.stages[number]
        yield "head", self.head

    def _live_state(self) -> dict[str, Tensor]:
        """The tensors of suffix and head themselves, which the next step changes."""
        return {
            name: tensor
            for prefix, part in self.trained_parts()
            for name, tensor in part.state_dict(prefix=f"{prefix}.").items()
        }

    def _frozen_stages(self) -> nn.ModuleList:
        return self.backbone.stages[: self.freeze_depth]
