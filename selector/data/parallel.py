"""Work on many images at once, in threads: Pillow lets go of the interpreter while it decodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Progress = Callable[[int, int, str], None]  # (done, total, what is being done)

T = TypeVar("T")
R = TypeVar("R")

_IN_FLIGHT = 256  # bounds memory: results wait for the reader in order


def map_threads(
    function: Callable[[T], R], items: Sequence[T], *, label: str, progress: Progress | None
) -> Iterator[R]:
    """The results in the order of `items`; `progress` is called in the caller's thread."""
    total = len(items)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, total, _IN_FLIGHT):
            chunk = items[start : start + _IN_FLIGHT]
            for done, result in enumerate(pool.map(function, chunk), start + 1):
                if progress is not None:
                    progress(done, total, label)
                yield result
