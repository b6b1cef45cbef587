"""What rank 0 and the other ranks tell each other, through a pipe for each of them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import psutil
import safetensors.torch
import torch.distributed as dist

from selector.records import Recipe
from selector.training import TrainingState

_INTERFACE = "GLOO_SOCKET_IFNAME"
GROUP_TIMEOUT = dt.timedelta(seconds=120)  # of one exchange, in which all are known to take part


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a rank has to know before its first order.

    `rendezvous` is a file in which the ranks find each other.
    """

    rank: int
    size: int
    device: str
    threads: int
    spec: Mapping[str, Any]
    folder: str
    fingerprint: str
    rendezvous: str

    def open_group(self) -> None:
        """Make this process a rank of torch's default group; waits for all the others."""
        with _on_loopback():
            dist.init_process_group(
                "nccl" if self.device.startswith("cuda") else "gloo",
                store=dist.FileStore(self.rendezvous, self.size),  # type: ignore[attr-defined]
                rank=self.rank,
                world_size=self.size,
                timeout=GROUP_TIMEOUT,
            )


class Word(Enum):
    """Orders and answers without more to say."""

    HERE = "here"  # a rank has started, or has come to where all wait for each other
    MEET = "meet"  # all have
    NEXT = "next"  # train one more epoch
    LEAVE = "leave"  # the trial is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A trial to train: on a fold of the finals or the study's own split.

    `limit` is how many samples go through a network at once, `start` where an earlier attempt
    stopped and `tensors` what it left.
    """

    recipe: Recipe
    weights: str
    fold: int | None
    limit: int | None
    start: TrainingState | None = None
    tensors: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, recipe: Recipe, start: TrainingState | None, **given: Any) -> Order:
        """An order that carries the state to go on from, if there is one."""
        if start is None:
            return cls(recipe=recipe, **given)
        tensors = {name: tensor.contiguous() for name, tensor in start.tensors.items()}
        return cls(
            recipe=recipe,
            start=replace(start, tensors={}),
            tensors=safetensors.torch.save(tensors),
            **given,
        )

    def state(self) -> TrainingState | None:
        """The state to go on from."""
        if self.start is None:
            return None
        return replace(self.start, tensors=safetensors.torch.load(self.tensors))


@dataclass(frozen=True, slots=True)
class Failed:
    """A rank's last word: why it could not go on, and when (of `time.monotonic`)."""

    cause: str
    text: str
    at: float


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Have Gloo talk through the machine itself: its own name may lead anywhere, or nowhere."""
    known = os.environ.get(_INTERFACE)
    here = [
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(each.address == "127.0.0.1" for each in addresses)
    ]
    if known is None and here:
        os.environ[_INTERFACE] = here[0]
    try:
        yield
    finally:
        if known is None:
            os.environ.pop(_INTERFACE, None)
