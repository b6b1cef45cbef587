"""The duplicates of a data set by name, with their classes and splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from selector.records import AlikePictures, Sample, SplitName


def describe(
    samples: Sequence[Sample],
    splits: Sequence[SplitName],
    *,
    pixels: Sequence[str],
    alike: Sequence[int],
) -> tuple[tuple[AlikePictures, ...], tuple[AlikePictures, ...]]:
    """Exact copies, and near duplicates (of exact copies the first only), the worst ones first.

    `pixels` says what each sample shows, `alike` has its group of near duplicates, negative where
    it has none.
    """

    def named(members: Iterable[int]) -> AlikePictures:
        chosen = tuple(members)
        return AlikePictures(
            ids=tuple(samples[index].id for index in chosen),
            labels=tuple(samples[index].label for index in chosen),
            splits=tuple(splits[index] for index in chosen),
        )

    same = _together(range(len(samples)), pixels)
    once = {content: index for index, content in reversed(list(enumerate(pixels)))}
    near = _together((i for i in sorted(once.values()) if alike[i] >= 0), alike)
    return _worst_first(map(named, same)), _worst_first(map(named, near))


def _together(positions: Iterable[int], key: Sequence[Hashable]) -> list[list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for index in positions:
        found[key[index]].append(index)
    return [members for members in found.values() if len(members) > 1]


def _worst_first(groups: Iterable[AlikePictures]) -> tuple[AlikePictures, ...]:
    """Two classes for one picture first, then what is in several splits."""
    return tuple(
        sorted(groups, key=lambda group: (not group.labels_differ, not group.splits_differ))
    )
