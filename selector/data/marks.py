"""What tells whether a network was trained on a sample, in whatever data set that turns up."""

from __future__ import annotations

from selector.data.dataset import Dataset, indices
from selector.records import SplitName


def marks_of(dataset: Dataset, split: SplitName) -> tuple[frozenset[str], ...]:
    """The marks of each sample of a split: its picture, and its group where it has one.

    Names are none, for a file may be replaced by another picture, and a picture renamed.
    """
    found = []
    for index in indices(dataset.splits, split).tolist():
        group = dataset.samples[index].group
        marks = {f"picture {dataset.pixels[index]}"}
        found.append(frozenset(marks if group is None else {*marks, f"group {group}"}))
    return tuple(found)


def all_marks(dataset: Dataset, split: SplitName) -> frozenset[str]:
    """The marks of all samples of a split together."""
    return frozenset().union(*marks_of(dataset, split))
