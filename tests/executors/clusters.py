"""Ray clusters on this machine: nodes that are real but for their network, and how they die."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

STORE_BYTES = 80 * 2**20


class Cluster:
    """A head node, and others with `places` CPUs each."""

    def __init__(self, inner: Any, *, places: int, folder: Path) -> None:
        self.folder = folder  # of its logs and sockets
        self.address: str = inner.address
        self.head = inner.head_node
        self._inner, self._places = inner, places

    def add_node(self) -> Any:
        return self._inner.add_node(num_cpus=self._places, object_store_memory=STORE_BYTES)

    def processes_of(self, node: Any) -> list[psutil.Process]:
        """All of a node, the workers' own included."""
        raylet = psutil.Process(raylet_pid(node))
        return [raylet, *raylet.children(recursive=True)]

    def lose(self, node: Any) -> None:
        """End a node as a power cut does: all at once, without a word."""
        for process in self.processes_of(node):
            process.kill()
        self._inner.remove_node(node, allow_graceful=False)


def raylet_pid(node: Any) -> int:
    (raylet,) = node.all_processes["raylet"]
    return int(raylet.process.pid)


@contextmanager
def started(*, head: int, places: int = 0) -> Iterator[Cluster]:
    """A cluster that `address: auto` finds here, gone with all its processes afterwards.

    Its head has `head` CPUs, each node that is added `places`.
    """
    # Ray's sockets lie in it, so its path must be short.
    folder = Path(tempfile.mkdtemp(prefix="sr-", dir="/tmp"))
    (folder / "ray").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        cluster_utils = pytest.importorskip("ray.cluster_utils")
        arguments = {
            "num_cpus": head,
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }
        inner = cluster_utils.Cluster(initialize_head=True, head_node_args=arguments)
        patch.setenv("RAY_ADDRESS", inner.address)
        try:
            yield Cluster(inner, places=places, folder=folder)
        finally:
            inner.shutdown()
            left = [
                child
                for child in psutil.Process().children(recursive=True)
                if child.pid not in before and _is_of(folder, child)
            ]
            _, alive = psutil.wait_procs(left, timeout=60)
            shutil.rmtree(folder, ignore_errors=True)
            assert not alive, f"Ray left {alive}"


def _is_of(folder: Path, process: psutil.Process) -> bool:
    """Whether the cluster in `folder` started it; other tests keep processes of their own.

    Ray's own are told their folder, its workers have a title instead of their arguments.
    """
    try:
        line = " ".join(process.cmdline())
        return str(folder) in line or line.startswith("ray::")
    except psutil.NoSuchProcess:
        return False
