"""Ranks for tests: functions that a process of its own can import."""

from __future__ import annotations

from multiprocessing.connection import Connection

import torch
from torch import Tensor

from selector.ranks.member import main
from selector.ranks.orders import Post
from selector.training.ranks import Suffix

ROOM = 16  # samples


def without_room(post: Post, orders: Connection) -> None:
    """A rank on a device that has room for no more than ROOM samples at once."""
    forward = Suffix.forward

    def within_room(suffix: Suffix, x: Tensor) -> Tensor:
        if suffix.training and len(x) > ROOM:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(suffix, x)

    Suffix.forward = within_room  # type: ignore[method-assign]
    main(post, orders)
