"""A small Ray cluster for the tests of this folder: one node on this machine, loopback only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.executors.clusters import Cluster, started


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A head with room for three workers."""
    with started(head=3) as one:
        yield one
