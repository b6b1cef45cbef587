"""What is read off the machine when somebody asks: its GPUs and the cache's size on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pynvml
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

PREFIXES = "prefixes"  # below the cache's folder


class GpuCollector(Collector):
    """Memory and utilisation of each NVIDIA GPU; no series where there is none.

    Asked of the driver, for torch would take hundreds of megabytes of each GPU only to look.
    """

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The values of now."""
        used = GaugeMetricFamily(
            "selector_gpu_memory_used_bytes", "Memory in use on the GPU.", labels=["gpu", "name"]
        )
        total = GaugeMetricFamily(
            "selector_gpu_memory_bytes", "Memory of the GPU.", labels=["gpu", "name"]
        )
        busy = GaugeMetricFamily(
            "selector_gpu_utilization_ratio",
            "Share of the last moment in which the GPU computed.",
            labels=["gpu", "name"],
        )
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:  # no driver, so no GPU
            return
        try:
            for index in range(pynvml.nvmlDeviceGetCount()):
                # What the driver does not tell, as of a part of a GPU, has no series.
                with suppress(pynvml.NVMLError):
                    device = pynvml.nvmlDeviceGetHandleByIndex(index)
                    labels = [str(index), str(pynvml.nvmlDeviceGetName(device))]
                    memory = pynvml.nvmlDeviceGetMemoryInfo(device)
                    used.add_metric(labels, float(memory.used))
                    total.add_metric(labels, float(memory.total))
                    share = pynvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
                    busy.add_metric(labels, share)
        finally:
            pynvml.nvmlShutdown()
        yield from (used, total, busy)


class CacheCollector(Collector):
    """Size of the stored outputs of frozen stages on this machine."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / PREFIXES

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The size of now."""
        found = GaugeMetricFamily(
            "selector_prefix_cache_bytes", "Bytes of stored outputs of frozen stages on the disk."
        )
        total = 0
        for path in self._folder.rglob("*.npy"):
            with suppress(OSError):  # freed by another process meanwhile
                total += path.stat().st_size
        found.add_metric([], total)
        yield found
