"""The menu of executors: where the workers of a run are started and watched."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from selector.errors import InputError, UnknownNameError
from selector.executors.base import Executor

NAMES = ("local", "ray")
_ELSEWHERE = frozenset({"ray"})
_NONE: Mapping[str, Any] = MappingProxyType({})


def elsewhere(name: str) -> bool:
    """Whether its workers may sit on other machines.

    Devices, memory and cores of this one then tell nothing about theirs.
    """
    return name in _ELSEWHERE


def load(name: str, options: Mapping[str, Any] = _NONE) -> Executor:
    """The executor called `name`; InputError lists every mistake in its options."""
    match name:
        case "local":
            from selector.executors.local import Local

            if options:
                raise InputError(f"executor 'local' has no options; {', '.join(options)}: unknown.")
            return Local()
        case "ray":
            from selector.executors.ray_cluster import Ray

            return Ray(options)
    raise UnknownNameError("executor", name, NAMES)
