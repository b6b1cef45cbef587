"""How many samples go through a network at once, where memory has no room for a whole batch.

A batch that does not fit is halved until it does. What was learnt holds for all that is alike and
trained later in the same worker, so that it meets the wall once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from selector.records import Recipe
from selector.training.memory import is_out_of_memory
from selector.training.network import Network
from selector.training.resume import TrainingState


def nearly_equal(number: int, parts: int) -> Sequence[int]:
    """Sizes of `parts` parts of a whole that differ by one at most, the larger ones first."""
    size, larger = divmod(number, parts)
    return (size + 1,) * larger + (size,) * (parts - larger)


@dataclass(slots=True)
class Portion:
    """At most `limit` samples at once; None: as many as there are."""

    limit: int | None = None

    def sizes(self, samples: int, *, smallest: int = 1) -> Sequence[int]:
        """Sizes of the parts of a batch: as few as the limit allows, and nearly equal.

        None is under `smallest`, should even that exceed the limit by one.
        """
        if self.limit is None or samples <= self.limit:
            return (samples,)
        parts = min(-(-samples // self.limit), max(1, samples // smallest))
        return nearly_equal(samples, parts)

    def halve(self, tried: int, *, smallest: int = 1) -> bool:
        """Allow half of what memory ran out with; False where that is under `smallest`."""
        half = tried // 2
        if half < smallest:
            return False
        self.limit = half if self.limit is None else min(half, self.limit)
        return True


@dataclass(frozen=True, slots=True)
class TrialPortions:
    """Of one trial: in a training step, and in passes that only compute outputs."""

    steps: Portion = field(default_factory=Portion)
    outputs: Portion = field(default_factory=Portion)

    def take_up(self, state: TrainingState) -> None:
        """Go on in the parts in which an earlier attempt trained, which decide the last bits."""
        if state.micro_batch is not None:
            known = self.steps.limit
            self.steps.limit = min(state.micro_batch, known or state.micro_batch)


class Portions:
    """What one worker has learnt, by all that decides how much a batch takes."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], TrialPortions] = {}

    def of(self, recipe: Recipe) -> TrialPortions:
        """For a recipe: those of the last one with its backbone, sizes and freeze depth."""
        key = (recipe.backbone, recipe.image_size, recipe.freeze_depth, recipe.batch_size)
        return self._known.setdefault((*key, recipe.precision), TrialPortions())


def in_portions(function: Callable[[Tensor], Tensor], batch: Tensor, portion: Portion) -> Tensor:
    """What `function` gives for a batch, computed in parts where memory asks for it.

    Every sample's output must depend on that sample alone, and nothing else may change.
    """
    while True:
        sizes = portion.sizes(len(batch))
        try:
            if len(sizes) == 1:
                return function(batch)
            return torch.cat([function(part) for part in torch.split(batch, list(sizes))])
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or not portion.halve(max(sizes)):
                raise
        # Only here, for as long as the error lives it holds what the attempt had allocated.
        release(batch.device)


def release(device: torch.device) -> None:
    """Give back what a failed attempt left behind, so that smaller blocks find room."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def trains_batch_norm(network: Network) -> bool:
    """Whether a trained layer normalises by the statistics of what goes through at once."""
    return any(
        isinstance(module, nn.modules.batchnorm._BatchNorm)
        for _, part in network.trained_parts()
        for module in part.modules()
    )


class Before:
    """What a forward pass changes besides its output, to be put back should it be repeated.

    The random streams of layers that draw, and the buffers of layers that count or average.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self._device = device
        self._live = [b for _, part in network.trained_parts() for b in part.buffers()]
        self._kept = [torch.empty_like(buffer) for buffer in self._live]
        self._random: list[Tensor] = []

    def keep(self) -> None:
        """Remember them as they are now."""
        self._random = [torch.get_rng_state()]
        if self._device.type == "cuda":
            self._random.append(torch.cuda.get_rng_state(self._device))
        if self._live:  # all in one call: this runs before every step
            torch._foreach_copy_(self._kept, self._live)

    def put_back(self) -> None:
        """Set them to what they were when last kept."""
        torch.set_rng_state(self._random[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(self._random[1], self._device)
        if self._live:
            torch._foreach_copy_(self._live, self._kept)
