"""One pass over the images that fills the cache for every cut it is worth keeping."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

from selector.training import precision
from selector.training.batches import sequential_batches
from selector.training.cache.entries import EntryWriter, storable
from selector.training.cache.quota import changing_room, make_room
from selector.training.mapped import place_rows
from selector.training.portions import in_portions
from selector.training.prefix import FILL_BATCH, ComputedPrefix
from selector.training.rows import Layout

TRIAL_BATCHES = 2  # after which it is decided what to keep; the first one also warms up
MEMORY_SHARE = 0.5  # of the free memory; more than that will have to come from the disk
READ_REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CutCost:
    """What one cut costs on this machine, per image: to compute from pixels, or to read back."""

    cut: int
    bytes: int
    compute_seconds: float
    read_seconds: float

    @property
    def saved_per_byte(self) -> float:
        """Seconds that a byte on disk saves every time the image is needed."""
        return (self.compute_seconds - self.read_seconds) / self.bytes


def loading_pays(cost: CutCost) -> bool:
    """Whether reading is faster than computing."""
    return cost.read_seconds < cost.compute_seconds


@dataclass(frozen=True, slots=True)
class Filled:
    """What a pass did: the folders of complete entries by cut, and the cuts that do not pay."""

    kept: Mapping[int, Path]
    declined: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which conditions something is kept."""

    quota_bytes: int
    admit: Callable[[CutCost], bool]


def fill(
    computed: ComputedPrefix,
    names: Mapping[int, str],
    *,
    requested: int,
    home: Path,
    terms: Terms,
) -> Filled:
    """Compute the cuts in `names` (entry's name by cut) together and keep what is worth it.

    The `requested` cut may push out older entries; the others are there for the taking and use
    free room only. Written below `home` first.
    """
    filling = _Pass(computed, names, requested=requested, home=home, terms=terms)
    try:
        return filling.run()
    finally:
        filling.abandon()


class _Pass:
    def __init__(
        self,
        computed: ComputedPrefix,
        names: Mapping[int, str],
        *,
        requested: int,
        home: Path,
        terms: Terms,
    ) -> None:
        self._computed = computed
        self._names = names
        self._requested = requested
        self._home = home
        self._terms = terms
        self._writers: dict[int, EntryWriter] = {}
        self._costs: dict[int, CutCost] = {}
        self._crowded: set[int] = set()  # worth keeping, but there was no room
        self._seconds: dict[int, float] = {}  # per image, from the pixels to the cut; the least

    def run(self) -> Filled:
        """The whole pass, or its first batches where nothing is worth keeping."""
        batches = sequential_batches(len(self._computed.images), FILL_BATCH)
        decisive = min(TRIAL_BATCHES, len(batches))
        with _evaluating(self._computed):
            for number, indices in enumerate(batches, start=1):
                self._compute(indices)
                if number == decisive:
                    self._measure()
                    self._decide()
                if not self._writers:
                    break
        kept = {
            cut: writer.finish(
                compute_seconds=self._costs[cut].compute_seconds,
                read_seconds=self._costs[cut].read_seconds,
            )
            for cut, writer in self._writers.items()
        }
        self._writers.clear()
        return Filled(kept, frozenset(self._names) - kept.keys() - self._crowded)

    def abandon(self) -> None:
        """Remove what was not finished."""
        for writer in self._writers.values():
            writer.abandon()

    def _compute(self, indices: Tensor) -> None:
        """One batch through the stages, written at each cut before the next one may change it."""
        computed = self._computed
        started = time.perf_counter()
        taken = 0.0
        x = computed.inputs(indices)
        with torch.no_grad(), precision.autocast(computed.precision, computed.device):
            for cut, stage in enumerate(self._stages(), start=1):
                x = in_portions(stage, x, computed.portion)
                if cut in self._names:
                    _wait_for(computed.device)
                    reached = time.perf_counter()
                    seconds = (reached - started - taken) / len(indices)
                    self._seconds[cut] = min(seconds, self._seconds.get(cut, seconds))
                    self._write(cut, x)
                    taken += time.perf_counter() - reached

    def _stages(self) -> list[torch.nn.Module]:
        """Up to the deepest cut that is still wanted; all of them until it is decided."""
        deepest = max(self._writers or self._names)
        return list(self._computed.network.backbone.stages[:deepest])

    def _write(self, cut: int, features: Tensor) -> None:
        if cut not in self._writers and not self._costs and storable(features.dtype):
            self._writers[cut] = EntryWriter(
                self._home,
                self._names[cut],
                samples=len(self._computed.images),
                layout=Layout.of(features),
                dtype=features.dtype,
            )
        if cut in self._writers:
            self._writers[cut].add(features)

    def _measure(self) -> None:
        for cut, writer in self._writers.items():
            self._costs[cut] = CutCost(
                cut=cut,
                bytes=writer.final_bytes // len(self._computed.images),
                compute_seconds=self._seconds[cut],
                read_seconds=_read_seconds(writer, self._computed.device),
            )

    def _decide(self) -> None:
        """Keep what pays and has room: the requested cut first, then what saves most per byte."""
        terms = self._terms
        paying = [cost for cost in self._costs.values() if terms.admit(cost)]
        paying.sort(key=lambda cost: (cost.cut != self._requested, -cost.saved_per_byte))
        needed = unwritten = 0
        with changing_room(self._home.parent):
            for cost in paying:
                writer = self._writers[cost.cut]
                if make_room(
                    self._home,
                    needed + writer.final_bytes,
                    unwritten=unwritten + writer.unwritten_bytes,
                    quota_bytes=terms.quota_bytes,
                    evict=cost.cut == self._requested,
                ):
                    needed += writer.final_bytes
                    unwritten += writer.unwritten_bytes
                    writer.reserve()
                else:
                    self._crowded.add(cost.cut)
                    self._writers.pop(cost.cut).abandon()
        for cut in self._costs.keys() - {cost.cut for cost in paying}:
            self._writers.pop(cut).abandon()


def _read_seconds(writer: EntryWriter, device: torch.device) -> float:
    """Seconds to read a row back by index and bring it to the device: the median of several."""
    from_disk = writer.final_bytes > MEMORY_SHARE * psutil.virtual_memory().available
    times = []
    for repeat in range(READ_REPEATS):
        written = writer.written_rows()
        indices = torch.randperm(len(written), generator=torch.Generator().manual_seed(repeat))
        if from_disk:
            _forget_pages(writer.path)
        started = time.perf_counter()
        place_rows(written, device, resident_bytes=0).take(indices[:FILL_BATCH]).to(device)
        _wait_for(device)
        times.append((time.perf_counter() - started) / min(len(indices), FILL_BATCH))
    return sorted(times)[READ_REPEATS // 2]


def _forget_pages(path: Path) -> None:
    """Make the next read of a file come from the disk; only Linux can be asked for that."""
    if not hasattr(os, "posix_fadvise"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # pages that wait to be written are not given up
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


@contextmanager
def _evaluating(computed: ComputedPrefix) -> Iterator[None]:
    """All stages in evaluation mode, those too that this trial is going to train."""
    network = computed.network
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
