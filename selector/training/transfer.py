"""Moving tensors to the device so that the CPU does not wait for it.

A GPU copies by itself from pinned memory only. Torch keeps a pinned block from being used again
until the copy is done, so nothing here has to be waited for or kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

AHEAD = 2  # batches that are read while one is used

Read = Callable[[Tensor], Tensor]


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device: itself on a CPU, a copy that is under way on a GPU."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor if tensor.is_pinned() else tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def deliver(
    read: Read, batches: Sequence[Tensor], *, device: torch.device, ahead: bool
) -> Generator[Tensor, None, None]:
    """What `read` gives for batch after batch, on the device.

    `ahead` reads in a thread, up to AHEAD batches before they are asked for, and on a GPU copies
    them beside its other work. Close the generator early and the thread ends with it.
    """
    if not ahead:
        for indices in batches:
            yield send(read(indices), device)
        return
    lane = _Lane(read, device)
    reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        under_way: deque[Future[_Sent]] = deque()
        for indices in batches:
            under_way.append(reader.submit(lane.send, indices))
            if len(under_way) > AHEAD:
                yield lane.receive(under_way.popleft().result())
        while under_way:
            yield lane.receive(under_way.popleft().result())
    finally:
        reader.shutdown(cancel_futures=True)


_Sent = tuple[Tensor, torch.cuda.Event | None]


class _Lane:
    """Copies to a GPU in a stream of their own; on other devices it only reads."""

    def __init__(self, read: Read, device: torch.device) -> None:
        self._read = read
        self._device = device
        # torch's stubs leave its streams untyped.
        on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]

    def send(self, indices: Tensor) -> _Sent:
        """Read a batch and start its copy; for the reading thread."""
        batch = self._read(indices)
        if self._stream is None or batch.device.type != "cpu":
            return send(batch, self._device), None
        with torch.cuda.stream(self._stream):
            sent = send(batch, self._device)
            return sent, self._stream.record_event()

    def receive(self, sent: _Sent) -> Tensor:
        """The batch, for the thread that uses it: its later kernels run after the copy."""
        batch, copied = sent
        if copied is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            # The block belongs to the other stream, which must not reuse it before we are done.
            batch.record_stream(current)
        return batch
