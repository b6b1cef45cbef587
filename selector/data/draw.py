"""The seeded draw of validation and test samples: stratified by class, groups kept together."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selector.data.problems import Problem, lines
from selector.errors import DataError
from selector.records import Sample


def draw(samples: Sequence[Sample], shares: Mapping[str, float], *, seed: int) -> list[str]:
    """The part of each sample: the given one, or one drawn from what is given to train or to none.

    `shares` names the parts to draw. Single samples come out exactly stratified. For groups it is a
    heuristic: large ones first, each to the part that lacks its classes most, and what is left
    empty is mended by moving small groups. DataError if that fails.
    """
    assigned: list[str] = [sample.split or "train" for sample in samples]
    if not shares:
        return assigned
    drawn = _Draw(_units(samples, seed), shares)
    drawn.place()
    drawn.mend()
    for unit, part in zip(drawn.units, drawn.chosen, strict=True):
        for index in unit.members:
            assigned[index] = part
    return assigned


def seeded_order(samples: Sequence[Sample], seed: int) -> list[int]:
    """Positions in an order drawn from the seed and the ids, the same on every machine."""
    return sorted(range(len(samples)), key=lambda index: _key(seed, samples[index].id))


def unit_name(sample: Sample) -> str:
    """A name for what must stay together: the sample's group, or the sample alone."""
    return f"sample {sample.id}" if sample.group is None else f"group {sample.group}"


@dataclass(frozen=True, slots=True)
class _Unit:
    """Samples that stay together, and how many of each class they are (classes in order)."""

    members: tuple[int, ...]
    counts: Mapping[str, int]


def _units(samples: Sequence[Sample], seed: int) -> list[_Unit]:
    """What may be drawn from: large units first, equal ones in the seed's order."""
    together: dict[str, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        if sample.split in (None, "train"):
            together[unit_name(sample)].append(index)
    names = sorted(together, key=lambda name: (-len(together[name]), _key(seed, name)))
    return [
        _Unit(
            tuple(together[name]),
            Counter(sorted(samples[index].label for index in together[name])),
        )
        for name in names
    ]


class _Draw:
    """The state of one draw: what each part has of each class and what it lacks."""

    def __init__(self, units: Sequence[_Unit], shares: Mapping[str, float]) -> None:
        self.units = units
        self.chosen: list[str] = []
        self.totals: Counter[str] = Counter()
        for unit in units:
            self.totals.update(unit.counts)
        self.parts: tuple[str, ...] = (*shares, "train")
        self.have: dict[str, Counter[str]] = {part: Counter() for part in self.parts}
        self.wanted: dict[str, Counter[str]] = {part: Counter() for part in self.parts}
        for label, total in self.totals.items():
            for part, count in _amounts(total, shares).items():
                self.wanted[part][label] = count

    def place(self) -> None:
        """Give every unit a part."""
        for unit in self.units:
            part = self._lacking_most(unit) if len(unit.members) > 1 else self._first_open(unit)
            self.chosen.append(part)
            self.have[part].update(unit.counts)

    def mend(self) -> None:
        """Move small units into parts that have none of a class; no move empties another part."""
        problems: list[Problem] = []
        for part in self.parts:
            for label in sorted(self.totals):
                if self.have[part][label] == 0 and not self._move_in(part, label):
                    text = (
                        f"Class '{label}' cannot be in {part} as well without tearing a group "
                        f"({self.totals[label]} images). Add groups with this class, give splits "
                        "or try another data.split.seed."
                    )
                    problems.append(Problem("classes that groups keep together", text))
        if problems:
            raise DataError(lines(problems))

    def _first_open(self, unit: _Unit) -> str:
        (label,) = unit.counts
        for part in self.parts:
            if self.have[part][label] < self.wanted[part][label]:
                return part
        return "train"

    def _lacking_most(self, unit: _Unit) -> str:
        def lack(part: str) -> float:
            return sum(
                count * (self.wanted[part][label] - self.have[part][label]) / self.totals[label]
                for label, count in unit.counts.items()
            )

        return max(self.parts, key=lack)

    def _move_in(self, part: str, label: str) -> bool:
        # Units are in order of size: from the end, the smallest that can go goes.
        for index in reversed(range(len(self.units))):
            unit, donor = self.units[index], self.chosen[index]
            if label not in unit.counts or donor == part:
                continue
            if all(self.have[donor][each] > count for each, count in unit.counts.items()):
                self.have[donor].subtract(unit.counts)
                self.have[part].update(unit.counts)
                self.chosen[index] = part
                return True
        return False


def _amounts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of `total` samples of a class each part gets: at least one, and one for train."""
    amounts = {part: max(1, round(total * share)) for part, share in shares.items()}
    while sum(amounts.values()) > max(total - 1, len(amounts)):
        amounts[max(amounts, key=lambda part: amounts[part])] -= 1
    return {**amounts, "train": total - sum(amounts.values())}


def _key(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
