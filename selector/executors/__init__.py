"""The menu of executors: where the workers of a run are started and watched."""

from __future__ import annotations

from selector.errors import UnknownNameError
from selector.executors.base import Executor

NAMES = ("local",)


def load(name: str) -> Executor:
    """The executor called `name`."""
    match name:
        case "local":
            from selector.executors.local import Local

            return Local()
    raise UnknownNameError("executor", name, NAMES)
