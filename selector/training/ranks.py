"""One network trained by several processes, each with a device and its part of every batch.

The processes are ranks of torch's default group, which whoever starts them has opened. All of them
go through the same loop: same order, same views, same learning rates. What a rank gets of a batch
follows from its place alone, so nothing has to be handed round but gradients and losses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from selector.training.network import Network
from selector.training.portions import nearly_equal

# What torch calls sending rank 0's buffers round before every step; it has been renamed.
_SYNC_BUFFERS = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers"
)
_PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def nobody_else() -> None:
    """Wait for nobody."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which samples of a batch a rank takes; `counts` is False where it only keeps step."""

    rows: slice
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process among those that train a network together.

    `meet` comes back when all of them have called it, however long the last one takes: the group's
    own calls wait no longer than its timeout.
    """

    rank: int = 0
    size: int = 1
    meet: Callable[[], None] = nobody_else

    @property
    def several(self) -> bool:
        """Whether there is anybody else."""
        return self.size > 1

    def part(self, samples: int, *, smallest: int = 1) -> Part:
        """This rank's samples of a batch: in the order of ranks, nearly equal.

        None gets fewer than `smallest`. A rank that gets none goes through the first ones again,
        which count for nothing: the others wait for its gradients all the same.
        """
        sizes = nearly_equal(samples, min(self.size, max(1, samples // smallest)))
        if self.rank >= len(sizes):
            return Part(slice(0, min(samples, smallest)), counts=False)
        start = sum(sizes[: self.rank])
        return Part(slice(start, start + sizes[self.rank]))

    def least(self, samples: int, *, smallest: int = 1) -> int:
        """How many samples of a batch the rank with the fewest goes through."""
        active = min(self.size, max(1, samples // smallest))
        return samples // active if active == self.size else min(samples, smallest)

    def share(self, batches: Sequence[Tensor]) -> Sequence[Tensor]:
        """This rank's of some batches: whole ones, in the order of ranks; may be none."""
        return self._shares(batches)[self.rank]

    def counts(self, batches: Sequence[Tensor]) -> Sequence[int]:
        """How many samples each rank's share of some batches has."""
        return [sum(len(batch) for batch in share) for share in self._shares(batches)]

    def _shares(self, batches: Sequence[Tensor]) -> Sequence[Sequence[Tensor]]:
        ends = list(accumulate(nearly_equal(len(batches), self.size)))
        return [batches[a:b] for a, b in pairwise([0, *ends])]

    def summed(self, value: Tensor) -> Tensor:
        """The sum of all ranks' values, in place; a GPU is not waited for."""
        if self.several:
            dist.all_reduce(value)
        return value

    def gathered(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The rows (n, ...) of all ranks in the order of ranks; `counts` says how many each has."""
        if not self.several:
            return rows
        room, own = rows.new_zeros((max(counts), *rows.shape[1:])), counts[self.rank]
        room[:own] = rows[:own]
        parts = [torch.empty_like(room) for _ in counts]
        dist.all_gather(parts, room)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def average(self, network: Network) -> None:
        """Give the trained layers' running statistics the mean of what the ranks have seen."""
        live = [
            buffer
            for _, part in network.trained_parts()
            for buffer in part.buffers()
            if buffer.is_floating_point()
        ]
        if not (self.several and live):
            return
        flat = torch.cat([buffer.flatten() for buffer in live])
        dist.all_reduce(flat)
        flat /= self.size
        pieces = torch.split(flat, [buffer.numel() for buffer in live])
        for buffer, mean in zip(live, pieces, strict=True):
            buffer.copy_(mean.view_as(buffer))


class Suffix(nn.Module):
    """The trained part of a network as a module, for what wraps modules."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.parts = nn.ModuleList(part for _, part in network.trained_parts())

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of the frozen part's output."""
        for part in self.parts:
            x = part(x)
        return x


def in_parallel(network: Network, example: Tensor, device: torch.device) -> DistributedDataParallel:
    """The network's suffix with gradients that are averaged over all ranks while they come.

    All ranks get rank 0's weights. `example` are inputs of the suffix, to find weights that nothing
    is computed with: those have no gradients to wait for.
    """
    suffix = Suffix(network)
    return DistributedDataParallel(
        suffix,
        device_ids=[device] if device.type == "cuda" else None,
        gradient_as_bucket_view=True,
        find_unused_parameters=_has_idle_weights(suffix, example),
        # Nothing reads running statistics before the epoch ends, and then they are averaged.
        **{_SYNC_BUFFERS: False},  # type: ignore[arg-type]
    )


def norms_apart(network: Network) -> bool:
    """Whether trained batch normalisation sees a rank's part of a batch and no more."""
    return any(not isinstance(norm, nn.SyncBatchNorm) for norm in _trained_norms(network))


def synchronise_norms(network: Network, device: torch.device) -> None:
    """Have trained batch normalisation use the whole batch's statistics, where that can be.

    Torch does it on GPUs only, and its conversion knows plain layers only: one that has an
    activation inside would lose it.
    """
    if device.type != "cuda" or any(type(n) not in _PLAIN_NORMS for n in _trained_norms(network)):
        return
    for _, part in network.trained_parts():
        nn.SyncBatchNorm.convert_sync_batchnorm(part)  # type: ignore[no-untyped-call]


def _trained_norms(network: Network) -> list[nn.Module]:
    return [
        module
        for _, part in network.trained_parts()
        for module in part.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]


def _has_idle_weights(suffix: Suffix, example: Tensor) -> bool:
    """Whether a trained weight takes no part in the output."""
    was_training = suffix.training
    suffix.eval()  # nothing is drawn, no statistics move
    weights = [weight for weight in suffix.parameters() if weight.requires_grad]
    with torch.enable_grad():
        found = torch.autograd.grad(suffix(example).sum(), weights, allow_unused=True)
    suffix.train(was_training)
    return any(gradient is None for gradient in found)
