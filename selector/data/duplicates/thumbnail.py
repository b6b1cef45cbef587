"""What near duplicates are compared by: small pictures that survive scaling and compression."""

from __future__ import annotations

import numpy as np
from PIL import Image

from selector.data.duplicates.search import similar
from selector.records import Bytes, Floats, Ints

SIDE = 16  # pixels of a thumbnail
SMALLEST = 32  # a shorter side below this leaves too little to tell copies from relatives
TOLERANCE = 0.005  # a concordance correlation of at least 0.995
_PLAIN = 4.0  # grey levels: what varies less is compression noise as much as picture

# ITU-R BT.601, as JPEG uses it: brightness and two colour differences.
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


def thumbnail(image: Image.Image) -> Bytes | None:
    """(16, 16, 3) uint8 of the whole RGB picture, or None for one below 32 pixels."""
    if min(image.size) < SMALLEST:
        return None
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=4.0)
    return np.asarray(small)


def look_alikes(thumbnails: Bytes) -> Ints:
    """For (n, 16, 16, 3) thumbnails the number of the group of near duplicates each is in, (n,).

    -1 stands for a picture that is like no other, -2 for one of a single colour, which cannot be
    compared. Two pictures are near duplicates when they differ in at most 0.5 % of what varies
    within them: `|x - y|^2 <= 0.005 (var x + var y)`, which for one channel is Lin's concordance
    correlation coefficient (Biometrics 45, 1989) of 0.995. Colour is compared at half the
    resolution of brightness, for that is all of it that JPEG keeps.
    """
    vectors, energies = _vectors(thumbnails)
    groups = np.full(len(thumbnails), -2, dtype=np.int64)
    varied = energies >= (_PLAIN * SIDE) ** 2
    groups[varied] = similar(vectors[varied], energies[varied], tolerance=TOLERANCE)
    return groups


def _vectors(thumbnails: Bytes) -> tuple[Floats, Floats]:
    """One vector a picture, and the sum of squares of what varies within its channels."""
    count, half = len(thumbnails), SIDE // 2
    colours = thumbnails.astype(np.float32) @ _TO_YCC.T
    brightness = colours[..., 0].reshape(count, SIDE * SIDE)
    chroma = colours[..., 1:].reshape(count, half, 2, half, 2, 2).mean(axis=(2, 4))
    chroma = chroma.reshape(count, half * half, 2)
    channels = (brightness, chroma[..., 0], chroma[..., 1])
    energies = sum((each.var(axis=1) * each.shape[1] for each in channels), np.zeros(count))
    return np.concatenate(channels, axis=1), energies.astype(np.float32)
