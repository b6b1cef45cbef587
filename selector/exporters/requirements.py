"""The packages that a bundle needs, at the versions it was made and checked with."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

CONSUMER = "selector-finetune"  # this package, as pip knows it
EVERY_BUNDLE = ("numpy", "pillow")


def pinned(distributions: Iterable[str]) -> tuple[str, ...]:
    """`name==version` of each, and of what every bundle needs, in order of names."""
    names = sorted({*EVERY_BUNDLE, *distributions})
    return tuple(f"{name}=={_public(importlib.metadata.version(name))}" for name in names)


def _public(version: str) -> str:
    """Without the local part (`2.15.0+cu130`), which package indexes do not have."""
    return version.partition("+")[0]
