"""Images, samples and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from selector.records.aliases import Bytes, Ints, SplitName


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a decoded RGB image becomes a network's input: resize, centre crop, normalise.

    The shorter side is resized to `size` pixels, the centre `size` x `size` square is kept, values
    are scaled to 0..1, then normalised per channel with `mean` and `std`.
    """

    size: int
    interpolation: Literal["bilinear", "bicubic", "nearest", "lanczos"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image. `id` is stable across machines (a relative path, or reader-made)."""

    id: str
    label: str
    group: str | None = None
    split: SplitName | None = None


@dataclass(frozen=True, slots=True)
class Splits:
    """Indices into the samples of a data set, each (n,) int64, disjoint and sorted."""

    train: Ints
    validation: Ints
    test: Ints


@dataclass(frozen=True, slots=True)
class AlikePictures:
    """Samples that show the same picture, or nearly so: ids, classes and splits, position by
    position."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[SplitName, ...]

    @property
    def labels_differ(self) -> bool:
        """Whether at least one of the labels must be wrong."""
        return len(set(self.labels)) > 1

    @property
    def splits_differ(self) -> bool:
        """Whether what is learnt from one is asked of another."""
        return len(set(self.splits)) > 1


@dataclass(frozen=True, slots=True)
class DataAudit:
    """What the look at every picture found that does not keep a study from running.

    `copies` have the same pixels, `near` are near duplicates. `moved` are the ids that were given
    to another split and went to train, because a copy is there. `bad` has one line a picture that
    was left out, with the reason. `equality_only` counts pictures too small or too plain to be
    near duplicates of anything.
    """

    copies: tuple[AlikePictures, ...] = ()
    near: tuple[AlikePictures, ...] = ()
    moved: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    equality_only: int = 0


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What the store and the reports know of a data set, without its images."""

    fingerprint: str
    class_names: tuple[str, ...]
    counts: Mapping[SplitName, int]
    class_counts: Mapping[str, Mapping[SplitName, int]]
    validation_ids: tuple[str, ...]
    validation_labels: Ints  # (n_validation,)
    skipped: tuple[str, ...] = ()  # files that were passed over
    audit: DataAudit = DataAudit()


@dataclass(frozen=True, slots=True)
class SplitImages:
    """Decoded images of one split, resized, in memory-mapped uint8.

    `images` is (n, height, width, 3), `labels` (n,) class indices, `sample_ids` n stable names.
    `content` changes with anything that changes the pixels or their order; it is empty where
    nobody knows, and then nothing made from the pixels outlives the trial.
    """

    images: Bytes
    labels: Ints
    sample_ids: tuple[str, ...]
    content: str = ""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All that a trial may see of the data: the test split is not reachable from here.

    `fold` says which one of the finals this is; None: the study's own split.
    """

    train: SplitImages
    validation: SplitImages
    class_names: tuple[str, ...]
    fold: int | None = None
