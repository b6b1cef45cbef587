"""What a process sets once before it trains."""

from __future__ import annotations

import torch


def prepare_process(threads: int | None = None) -> None:
    """Set torch up for training in this process; `threads` None keeps torch's own number.

    Call it before any parallel work: threads of torch's pool take over how denormals are treated
    when they start, and keep it. Give each of several workers its share of the cores: threads that
    wait for each other on a busy core spin, and cost tenfold.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    # Dying activations become denormal numbers, which a CPU computes with many times slower.
    torch.set_flush_denormal(True)
    # The same recipe and seed must give the same score, on a GPU too.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
