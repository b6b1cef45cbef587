"""A small Ray cluster for the tests of this folder: two nodes on this machine, loopback only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.executors.clusters import Cluster, started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes with two worker's places each, found by `address: auto`."""
    with started(nodes=2, places=2) as both:
        yield both
