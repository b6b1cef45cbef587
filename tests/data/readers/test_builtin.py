from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from selector.data import readers

from ..files import data


def test_digits_fill_the_range_of_gray_values() -> None:
    listing = readers.load("builtin").read(data(source="builtin:digits"), base=Path())
    pixels = np.asarray(listing.open(0))
    assert pixels.shape == (8, 8, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()
    assert max(np.asarray(listing.open(index)).max() for index in range(20)) == 255


def test_digits_have_their_own_ids_and_ten_classes() -> None:
    listing = readers.load("builtin").read(data(source="builtin:digits"), base=Path())
    assert (listing.samples[0].id, listing.samples[-1].id) == ("digits/0000", "digits/1796")
    assert len(Counter(sample.label for sample in listing.samples)) == 10
