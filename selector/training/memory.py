"""Running out of memory, in all the shapes it takes, as the failure of one trial."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from selector.errors import TrialFailedError
from selector.records import Recipe

# What torch and CUDA's libraries say where they raise a plain RuntimeError.
_WORDS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)

# Of a GPU's free memory, for what only saves time: the rest is for training and for other workers.
ROWS_SHARE = 0.5


def device_room(device: torch.device) -> int:
    """Bytes that stored rows may take on a device now; on a CPU other limits count."""
    if device.type != "cuda":
        return sys.maxsize
    free, _ = torch.cuda.mem_get_info(device)
    # What torch keeps for itself and does not use is free too.
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(ROWS_SHARE * (free + unused))


@contextmanager
def out_of_memory_fails_the_trial(
    recipe: Recipe, device: torch.device, *, at_once: Callable[[], int | None] = lambda: None
) -> Iterator[None]:
    """Turn memory that runs out, on the device or the host, into TrialFailedError `oom`.

    `at_once` says how many samples a batch had been cut down to, None for whole batches.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        cut = at_once()
        parts = "" if cut is None else f" in parts of {cut}"
        raise TrialFailedError(
            "oom",
            f"{recipe.backbone}: out of memory on {device} with batch size {recipe.batch_size}"
            f"{parts}, image size {recipe.image_size}, freeze depth {recipe.freeze_depth}. "
            "Allow smaller batches or images, or fewer workers on the device.",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
