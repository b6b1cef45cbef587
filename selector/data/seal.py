"""The data set that search and finals work on: nothing in it leads to the test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from selector.data.dataset import Dataset
from selector.data.draw import draw, unit_name
from selector.errors import DataError
from selector.records import Ints, Sample, Splits

_NONE: Ints = np.array([], dtype=np.int64)


def without_test(dataset: Dataset) -> Dataset:
    """The same data set without the samples of the test split, and without a way to their images.

    Its summary is that of the whole, so fingerprints and counts stay what they were.
    """
    kept = np.sort(np.concatenate([dataset.splits.train, dataset.splits.validation]))
    return Dataset(
        samples=tuple(dataset.samples[index] for index in kept),
        class_names=dataset.class_names,
        labels=dataset.labels[kept],
        splits=Splits(
            train=np.searchsorted(kept, dataset.splits.train),
            validation=np.searchsorted(kept, dataset.splits.validation),
            test=_NONE,
        ),
        summary=dataset.summary,
        images=dataset.images.keep(kept.tolist()),
        hashes=tuple(dataset.hashes[index] for index in kept),
        pixels=tuple(dataset.pixels[index] for index in kept),
    )


def folds(dataset: Dataset, count: int, *, seed: int) -> tuple[Dataset, ...]:
    """`count` views of a data set: each sample of train and validation validates in one of them.

    Stratified by class, a group stays in one fold, and the test split is in none. DataError where
    a class is too small for that.
    """
    open_part = without_test(dataset)
    samples = [replace(sample, split=None) for sample in open_part.samples]
    _require_enough(samples, count)
    # What is given to no fold stays in the last one, which the draw calls train.
    shares = {f"fold {number}": 1 / count for number in range(1, count)}
    fold_of = np.array(draw(samples, shares, seed=seed))
    return tuple(
        replace(
            open_part,
            splits=Splits(
                train=np.flatnonzero(fold_of != name).astype(np.int64),
                validation=np.flatnonzero(fold_of == name).astype(np.int64),
                test=_NONE,
            ),
        )
        for name in (*shares, "train")
    )


def _require_enough(samples: Sequence[Sample], count: int) -> None:
    units = Counter(label for label, _ in {(each.label, unit_name(each)) for each in samples})
    small = [f"'{label}' ({number})" for label, number in sorted(units.items()) if number < count]
    if small:
        raise DataError(
            [
                f"finals.folds is {count}, but fewer images or groups are in train and validation "
                f"of {', '.join(small)}. Set finals.folds to {min(units.values())} or less, "
                "or to none."
            ]
        )
