"""Data sets that need no files of the user: the handwritten digits that scikit-learn carries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from selector.data.readers.base import GrayImages, Listing
from selector.errors import DataError, did_you_mean
from selector.records import Sample

if TYPE_CHECKING:
    from selector.spec.schema import DataSpec

SOURCES = ("builtin:digits",)


class Builtin:
    """`builtin:digits`: 1797 handwritten digits of 8 x 8 pixels in ten classes."""

    def read(self, spec: DataSpec, *, base: Path) -> Listing:  # noqa: ARG002 - needs no folder
        """All samples of the named source."""
        source = spec.source or ""
        if source not in SOURCES:
            hint = did_you_mean(source, SOURCES)
            raise DataError([f"Unknown data.source '{source}'.{hint} Known: {', '.join(SOURCES)}."])
        return _digits()


def _digits() -> Listing:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # stored as 0..16
    samples = tuple(
        Sample(f"digits/{index:04d}", str(label)) for index, label in enumerate(bunch.target)
    )
    return Listing(samples, GrayImages(pixels))
