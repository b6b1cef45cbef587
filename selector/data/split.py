"""Which samples train, which choose and which prove: seeded, stratified, group-aware splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np

from selector.data.draw import draw, unit_name
from selector.data.problems import Problem, lines
from selector.errors import DataError, did_you_mean
from selector.records import Sample, SplitName, Splits

if TYPE_CHECKING:
    from selector.spec.schema import SplitSpec

SPLITS: tuple[SplitName, ...] = get_args(SplitName)


def split(samples: Sequence[Sample], spec: SplitSpec) -> Splits:
    """Train, validation and test: as given by the samples, what is missing is drawn from train.

    Each class gives its share to each part, at least one sample; a group stays in one part. The
    draw depends on the ids and the seed only. DataError with every class that cannot be split.
    """
    problems = split_problems(samples)
    if problems:
        raise DataError(lines(problems))
    shares = {"validation": spec.validation, "test": spec.test}
    missing: dict[str, float] = {part: shares[part] for part in parts_to_draw(samples)}
    part_of = np.array(draw(samples, missing, seed=spec.seed))
    return Splits(*(np.flatnonzero(part_of == name).astype(np.int64) for name in SPLITS))


def parts_to_draw(samples: Sequence[Sample]) -> tuple[SplitName, ...]:
    """The parts that no sample is given to, besides train."""
    given = {sample.split for sample in samples}
    return tuple(name for name in SPLITS[1:] if name not in given)


def split_problems(
    samples: Sequence[Sample], *, blamed: frozenset[str] = frozenset()
) -> list[Problem]:
    """Everything that keeps these samples from being split.

    Classes in `blamed` have been complained about already and are passed over.
    """
    labels = sorted({sample.label for sample in samples})
    if not labels:
        return [] if blamed else [Problem("data sets", "The data set holds no usable samples.")]
    if len(labels) == 1 and not blamed:
        text = f"There is only one class, '{labels[0]}'. At least two are needed."
        return [Problem("data sets", text)]
    if not any(sample.split in (None, "train") for sample in samples):
        text = "No sample is in the train split. Add a train folder or rows with split 'train'."
        return [Problem("data sets", text)]
    return [
        *_absent_classes(samples, labels, blamed=blamed),
        *_small_classes(samples, blamed=blamed),
        *_torn_groups(samples),
    ]


# --- checks -------------------------------------------------------------------------------------


def _absent_classes(
    samples: Sequence[Sample], labels: Sequence[str], *, blamed: frozenset[str]
) -> list[Problem]:
    """Classes that are in one given split and not in another: labels would shift silently."""
    present: dict[SplitName, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.split is not None:
            present[sample.split].add(sample.label)
    problems: list[Problem] = []
    for label in labels:
        having = [name for name in SPLITS if label in present[name]]
        lacking = [name for name in SPLITS if present[name] and label not in present[name]]
        if label in blamed or not having or not lacking:
            continue
        hint = did_you_mean(label, set().union(*(present[name] for name in lacking)))
        problems.append(
            Problem(
                "classes that differ between splits",
                f"Class '{label}' is in {' and '.join(having)} but not in {' or '.join(lacking)}. "
                f"Every split needs every class.{hint}",
            )
        )
    return problems


def _small_classes(samples: Sequence[Sample], *, blamed: frozenset[str]) -> list[Problem]:
    """Classes with fewer samples, or groups, than parts they must be spread over."""
    drawn_from = [sample for sample in samples if sample.split in (None, "train")]
    parts = ("train", *parts_to_draw(samples))
    images = Counter(sample.label for sample in drawn_from)
    units = Counter(label for label, _ in {(each.label, unit_name(each)) for each in drawn_from})
    return [
        Problem(
            "classes that are too small",
            f"Class '{label}' has {_amount(images[label], units[label])} to split into "
            f"{', '.join(parts)}: at least {len(parts)} are needed. "
            "Add some or leave the class out.",
        )
        for label in sorted(images)
        if units[label] < len(parts) and label not in blamed
    ]


def _amount(images: int, units: int) -> str:
    """`1 image`, or `7 images in 1 group` where it is groups that count."""
    text = f"{images} image{'s' if images > 1 else ''}"
    return text if units == images else f"{text} in {units} group{'s' if units > 1 else ''}"


def _torn_groups(samples: Sequence[Sample]) -> list[Problem]:
    found: dict[str, set[SplitName]] = defaultdict(set)
    for sample in samples:
        if sample.group is not None and sample.split is not None:
            found[sample.group].add(sample.split)
    return [
        Problem(
            "groups in several splits",
            f"Group '{group}' is in {' and '.join(sorted(names))}. A group belongs to one split.",
        )
        for group, names in sorted(found.items())
        if len(names) > 1
    ]
