"""Every pair of near vectors among many: matrix products over blocks instead of n squared loops."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from selector.records import Floats, Ints

AnyFloats: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

_BLOCK = 2048  # rows and columns at a time: 32 MB of distances
_DIRECTIONS = 32
_SAMPLE = 4096  # rows that the directions are taken from
_SLACK = 1.0001  # for what has been rounded


def similar(vectors: Floats, energies: Floats, *, tolerance: float) -> Ints:
    """The number of each vector's group, (n,); -1 where nothing is near it.

    Rows x and y of `vectors` (n, d) belong together when `|x - y|^2 <= tolerance (ex + ey)`, with
    their `energies` (n,); groups are what is linked by such pairs. `energies` is at most the
    squared length of a vector: that of its varying part, for thumbnails; its own, for features of
    a frozen network. None is missed: pairs are shortlisted by their distance along a few
    directions and by the difference of their energies, and both are never more than the distance.
    """
    order = np.argsort(energies, kind="stable")
    space = _Space(vectors[order], energies[order], tolerance)
    groups = np.arange(len(order))
    for start in range(0, len(order), _BLOCK):
        for other in range(start, space.end_of_reach(start), _BLOCK):
            rows, columns = space.pairs(start, other, groups=groups)
            groups = _link(groups, rows, columns)
    return _numbered(groups[np.argsort(order, kind="stable")])


class _Space:
    """Vectors in order of their energies, whole and along the directions that tell most."""

    def __init__(self, vectors: Floats, energies: Floats, tolerance: float) -> None:
        self.vectors = vectors
        self.energies = energies
        self.tolerance = tolerance
        self.short = _along_main_directions(vectors)

    def end_of_reach(self, start: int) -> int:
        """Where the vectors end that a block's may belong to, because they vary as much.

        |sqrt(ex) - sqrt(ey)| <= |x - y| <= sqrt(tolerance (ex + ey)), solved for ey.
        """
        share = 1 - self.tolerance
        ratio = (1 + np.sqrt(1 - share**2)) / share
        largest = float(self.energies[start : start + _BLOCK][-1])
        return int(np.searchsorted(self.energies, largest * ratio**2 * _SLACK, side="right"))

    def pairs(self, start: int, other: int, *, groups: Ints) -> tuple[Ints, Ints]:
        """The positions of near pairs, one from the block at `start`, one from that at `other`.

        Pairs that are in one of the `groups` already are left out.
        """
        rows = np.arange(start, min(start + _BLOCK, len(self.energies)))
        columns = np.arange(other, min(other + _BLOCK, len(self.energies)))
        maybe = self._likely(rows, columns)
        maybe &= groups[rows][:, None] != groups[columns]
        rows, columns = rows[maybe.any(axis=1)], columns[maybe.any(axis=0)]
        # In double precision: the difference of two long vectors may be very short.
        left = self.vectors[rows].astype(np.float64)
        right = self.vectors[columns].astype(np.float64)
        near = _distances(left, right) <= self._allowed(rows, columns)
        near &= rows[:, None] < columns
        found = np.nonzero(near)
        return rows[found[0]], columns[found[1]]

    def _likely(self, rows: Ints, columns: Ints) -> Mask:
        """(rows, columns): whether a pair may be near, judged along a few directions."""
        left, right = self.short[rows], self.short[columns]
        lengths = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
        # Single precision is wrong by some 1e-6 of the lengths that a distance is made of.
        allowed = self._allowed(rows, columns) * np.float32(_SLACK) + lengths * np.float32(1e-5)
        likely: Mask = _distances(left, right) <= allowed
        return likely

    def _allowed(self, rows: Ints, columns: Ints) -> Floats:
        allowed: Floats = self.energies[rows][:, None] + self.energies[columns]
        return allowed * np.float32(self.tolerance)


def _distances(left: AnyFloats, right: AnyFloats) -> AnyFloats:
    """(rows, columns) squared distances of the rows of two matrices."""
    distances: AnyFloats = left @ right.T
    distances *= -2
    distances += np.square(left).sum(axis=1)[:, None]
    distances += np.square(right).sum(axis=1)
    return distances


def _along_main_directions(vectors: Floats) -> Floats:
    """(n, k): the vectors along the directions in which they differ most; distances only shrink."""
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)].astype(np.float64)
    if len(sample) == 0:
        return vectors[:, :0]
    centre = sample.mean(axis=0)
    _, basis = np.linalg.eigh((sample - centre).T @ (sample - centre))  # variance rises
    shortened: Floats = ((vectors - centre) @ basis[:, -_DIRECTIONS:]).astype(np.float32)
    return shortened


def _link(groups: Ints, rows: Ints, columns: Ints) -> Ints:
    """The groups after those of each pair have been joined, named by their lowest number."""
    left, right = groups[rows], groups[columns]
    lowest = np.arange(len(groups))
    while (lowest[left] != lowest[right]).any():
        low = np.minimum(lowest[left], lowest[right])
        np.minimum.at(lowest, left, low)
        np.minimum.at(lowest, right, low)
        lowest = lowest[lowest]  # what was lowered may have been lowered itself
    return lowest[groups]


def _numbered(groups: Ints) -> Ints:
    """Groups of two and more numbered in the order of their first member, the others -1."""
    _, first, of_each, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    numbers = np.full(len(sizes), -1, dtype=np.int64)
    shared = np.flatnonzero(sizes > 1)
    numbers[shared[np.argsort(first[shared])]] = np.arange(len(shared))
    return numbers[of_each]
