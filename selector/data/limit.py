"""A stratified, seeded subsample of the samples, for a quick look at a large data set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from selector.data.draw import seeded_order
from selector.data.split import parts_to_draw
from selector.errors import DataError
from selector.records import Sample, SplitName

Stratum = tuple[str, SplitName | None]  # class and given split


def subsample(samples: Sequence[Sample], limit: int, *, seed: int) -> list[int]:
    """Sorted positions of `limit` samples; every class keeps enough to be split.

    The choice depends on the ids and the seed, not on the order of `samples`. DataError if the
    limit is too small for the number of classes.
    """
    if limit >= len(samples):
        return list(range(len(samples)))
    strata: dict[Stratum, list[int]] = defaultdict(list)
    for index in seeded_order(samples, seed):
        strata[samples[index].label, samples[index].split].append(index)
    drawn = len(parts_to_draw(samples))
    floors = {
        stratum: min(len(members), 1 + drawn if stratum[1] in (None, "train") else 1)
        for stratum, members in strata.items()
    }
    if limit < sum(floors.values()):
        raise DataError(
            [
                f"data.limit is {limit}, but the classes of this data set need at least "
                f"{sum(floors.values())} samples to be split. Raise it or leave it out."
            ]
        )
    quotas = _quotas({stratum: len(strata[stratum]) for stratum in strata}, floors, limit=limit)
    chosen = [
        index
        for stratum, members in strata.items()
        for index in _spread_over_groups(samples, members)[: quotas[stratum]]
    ]
    return sorted(chosen)


def _quotas(
    sizes: Mapping[Stratum, int], floors: Mapping[Stratum, int], *, limit: int
) -> dict[Stratum, int]:
    """Proportional shares of `limit` above the floors, by largest remainder."""
    spare = limit - sum(floors.values())
    room = {stratum: sizes[stratum] - floors[stratum] for stratum in sizes}
    total = sum(room.values())
    exact = {stratum: room[stratum] * spare / total for stratum in sizes}
    quotas = {stratum: floors[stratum] + int(exact[stratum]) for stratum in sizes}
    by_remainder = sorted(
        sizes, key=lambda stratum: (int(exact[stratum]) - exact[stratum], stratum[0], str(stratum))
    )
    for stratum in by_remainder[: limit - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas


def _spread_over_groups(samples: Sequence[Sample], members: Sequence[int]) -> list[int]:
    """One sample of each group first, so that a class keeps as many groups as it can."""
    seen: Counter[str] = Counter()
    turn: dict[int, int] = {}
    for index in members:
        group = samples[index].group
        if group is not None:
            turn[index] = seen[group]
            seen[group] += 1
    return sorted(members, key=lambda index: turn.get(index, 0))
