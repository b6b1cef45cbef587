"""A place to run commands in, as the tests of the command line have it."""

from __future__ import annotations

from tests.cli.conftest import cache, finished, finished_place, place, selector

__all__ = ["cache", "finished", "finished_place", "place", "selector"]
