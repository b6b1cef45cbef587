"""Exact copies and the splits: what must stay together, what is torn, and the move to train."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from selector.data.problems import Problem
from selector.records import Sample


def tie(samples: Sequence[Sample], pixels: Sequence[str]) -> tuple[Sample, ...]:
    """The samples with copies of one picture in one group, so that a draw keeps them together.

    `pixels` says what each one shows. Groups that share a picture become one. Samples without a
    copy are left as they are, and so is the draw of a data set without any.
    """
    tied = list(samples)
    for unit in _units(samples, pixels):
        groups = [each.group for each in (samples[i] for i in unit) if each.group is not None]
        name = min(groups, default=f"copies of {samples[unit[0]].id}")
        for index in unit:
            tied[index] = replace(samples[index], group=name)
    return tuple(tied)


def crossing(samples: Sequence[Sample], pixels: Sequence[str]) -> list[Problem]:
    """Pictures that the data itself has put into several splits: a score on them is no proof."""
    way_out = "To train on all copies of such pictures instead: data.on_duplicates: move_to_train."
    problems = []
    for copies in _copies(pixels):
        if not _crosses(samples, copies):
            continue
        first = {samples[index].split: samples[index].id for index in reversed(copies)}
        places = " and ".join(f"{name} ({split})" for split, name in sorted(first.items(), key=str))
        text = f"{places} are the same picture in several splits."
        problems.append(Problem("pictures that are in several splits", text, way_out))
    return problems


def move_to_train(
    samples: Sequence[Sample], pixels: Sequence[str]
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """The samples with pictures of several splits in train only, and the ids that were moved.

    What shares a group with such a picture goes along: a group belongs to one split.
    """
    torn = {index for copies in _copies(pixels) if _crosses(samples, copies) for index in copies}
    units = [unit for unit in _units(samples, pixels) if not torn.isdisjoint(unit)]
    moved = sorted(i for unit in units for i in unit if samples[i].split != "train")
    placed = list(samples)
    for index in moved:
        placed[index] = replace(samples[index], split="train")
    return tuple(placed), tuple(samples[index].id for index in moved)


def _crosses(samples: Sequence[Sample], copies: Iterable[int]) -> bool:
    return len({samples[index].split for index in copies}) > 1


def _copies(pixels: Sequence[str]) -> list[list[int]]:
    """Positions of the same picture, for each that is there more than once."""
    alike: dict[str, list[int]] = defaultdict(list)
    for index, content in enumerate(pixels):
        alike[content].append(index)
    return [members for members in alike.values() if len(members) > 1]


def _units(samples: Sequence[Sample], pixels: Sequence[str]) -> list[list[int]]:
    """Positions that copies, and the groups that copies are in, chain together; in order."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        if sample.group is not None:
            members[sample.group].append(index)
    unit_of: dict[int, list[int]] = {}
    units = []
    copies = _copies(pixels)
    copies_of = {index: each for each in copies for index in each}
    for first in sorted(copies_of):
        if first in unit_of:
            continue
        unit: list[int] = []
        waiting = [first]
        while waiting:
            index = waiting.pop()
            if index in unit_of:
                continue
            unit_of[index] = unit
            unit.append(index)
            group = samples[index].group
            waiting += copies_of.get(index, ())
            waiting += members.pop(group, ()) if group is not None else ()
        units.append(sorted(unit))
    return units
