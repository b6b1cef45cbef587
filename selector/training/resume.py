"""Training between two steps: all that the rest of it depends on, to go on from later.

What follows from seed and epoch alone is not part of it: the order of the samples, the schedule and
the random numbers at the start of each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

from selector.training.network import Network

_NETWORK = "network."
_OPTIMIZER = "optimizer."
_LOSS = "loss"
_LAYERS = "random.layers"
_ON_DEVICE = "random.device"
_AUGMENT = "random.augment"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """A training before step `step` (from 0) of epoch `epoch` (from 1).

    `tensors` are on the CPU, `scaler` is of the gradients in fp16 and empty otherwise, `seconds`
    the time that the epoch took so far. `micro_batch` is how many samples went through the network
    at once, where memory had no room for a whole batch.
    """

    epoch: int
    step: int
    seconds: float
    scaler: Mapping[str, float]
    tensors: Mapping[str, Tensor]
    micro_batch: int | None = None


class Keeper(Protocol):
    """Keeps the states of one training, where and how often is its own business."""

    @property
    def start(self) -> TrainingState | None:
        """Where an earlier attempt stopped; None to begin from the start."""
        ...

    def wants(self, step: int) -> bool:
        """Whether to be given the state before this step of an epoch; asked after every step."""
        ...

    def keep(self, state: TrainingState) -> None:
        """Take a state; may raise whatever has to end the training here."""
        ...


def captured(
    network: Network,
    optimizer: Optimizer,
    scaler: GradScaler,
    *,
    epoch: int,
    step: int,
    seconds: float,
    within: Mapping[str, Tensor],
    micro_batch: int | None = None,
) -> TrainingState:
    """The state now; `within` is what `position` gave within an epoch. Waits for a GPU."""
    tensors = {f"{_NETWORK}{name}": value for name, value in network.trained_state().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{_OPTIMIZER}{index}.{key}"] = value.to("cpu", copy=True)
    return TrainingState(
        epoch=epoch,
        step=step,
        seconds=seconds,
        scaler=dict(scaler.state_dict()),
        tensors={**tensors, **within},
        micro_batch=micro_batch,
    )


def put_back(
    state: TrainingState, network: Network, optimizer: Optimizer, scaler: GradScaler
) -> None:
    """Give network, optimizer and scaler, made anew for the same recipe, what they had."""
    network.load_trained_state(dict(_below(state, _NETWORK)))
    values: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(state, _OPTIMIZER):
        index, _, key = name.partition(".")
        values.setdefault(int(index), {})[key] = value
    # Rates and decays are those of the recipe.
    optimizer.load_state_dict({**optimizer.state_dict(), "state": values})
    _lay_out_as_weights(optimizer)
    if state.scaler:
        scaler.load_state_dict(dict(state.scaler))


def position(
    loss: Tensor, device: torch.device, draws: torch.Generator | None
) -> dict[str, Tensor]:
    """What the middle of an epoch has beyond its start: the sum of losses, the random streams."""
    tensors = {_LOSS: loss.detach().to("cpu", copy=True), _LAYERS: torch.get_rng_state()}
    if device.type == "cuda":
        tensors[_ON_DEVICE] = torch.cuda.get_rng_state(device)
    if draws is not None:
        tensors[_AUGMENT] = draws.get_state()
    return tensors


def put_position_back(
    state: TrainingState,
    loss: Tensor,
    device: torch.device,
    draws: torch.Generator | None,
    *,
    layers: bool = True,
) -> None:
    """Set the sum of losses and the random streams to the middle of an epoch.

    Without `layers`, the streams that layers draw from stay as they are.
    """
    loss.copy_(state.tensors[_LOSS])
    if layers:
        torch.set_rng_state(state.tensors[_LAYERS])
    if layers and device.type == "cuda":
        torch.cuda.set_rng_state(state.tensors[_ON_DEVICE], device)
    if draws is not None:
        draws.set_state(state.tensors[_AUGMENT])


def _below(state: TrainingState, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in state.tensors.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value


def _lay_out_as_weights(optimizer: Optimizer) -> None:
    """Give moments the memory order of their weights, which fused steps read side by side."""
    for weight, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                values[key] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
