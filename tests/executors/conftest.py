"""A small Ray cluster for the tests of this folder: one node on this machine, loopback only."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors.clusters import Cluster, started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A head with room for three workers."""
    with started(head=3) as one:
        yield one


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder in which sockets can lie: their paths are bounded by the system."""
    folder = Path(tempfile.mkdtemp(prefix="sr-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
