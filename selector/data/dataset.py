"""From the study file's data section to samples that are checked, split and fingerprinted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from selector.data import readers
from selector.data.audit import NOT_COMPARED, Verdict, audit
from selector.data.duplicates import crossing, describe, move_to_train, tie
from selector.data.fingerprint import fingerprint
from selector.data.limit import subsample
from selector.data.mirror import is_url, mirrored
from selector.data.parallel import Progress
from selector.data.problems import Problem, lines, lines_and_list
from selector.data.readers.base import ImageSource, Listing
from selector.data.split import SPLITS, split, split_problems
from selector.errors import DataError, visible
from selector.records import DataAudit, DataSummary, Ints, Sample, SplitName, Splits
from selector.settings import load_settings

if TYPE_CHECKING:
    from selector.spec.schema import DataSpec


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set that has passed the audit. Samples are in order of their ids."""

    samples: tuple[Sample, ...]
    class_names: tuple[str, ...]  # sorted; a label is a position in it
    labels: Ints  # (n,)
    splits: Splits
    summary: DataSummary
    images: ImageSource
    hashes: tuple[str, ...]  # of the content the audit saw
    pixels: tuple[str, ...]  # likewise of the decoded pictures: equal for copies


def inspect(
    spec: DataSpec,
    *,
    base: Path,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The data set of a study file, read, audited and split.

    Relative paths start at `base`, the folder of the study file; what lies behind a URL is brought
    to `cache` first. With `cache`, the audit of files that have not changed is
    remembered there. DataError carries everything that is wrong.
    """
    if spec.path is not None and is_url(spec.path):
        assert cache is not None, "a URL needs a place to bring its files to"
        offline = load_settings().offline
        path = mirrored(spec.path, cache, offline=offline, progress=progress)
        spec = spec.model_copy(update={"path": str(path)})
    listing = _read(spec, base=base)
    verdicts = audit(listing, cache=cache, progress=progress)
    problems = list(listing.problems)
    found = DataAudit()
    if spec.on_bad_image == "skip":
        found = replace(found, bad=tuple(each.fault for each in verdicts if each.fault))
        listing, verdicts = _without_bad(listing, verdicts)
    else:
        problems += _faults(verdicts)
    placed, moved, torn = _placed(spec, listing.samples, verdicts)
    problems += [*torn, *split_problems(placed, blamed=listing.blamed)]
    if problems:
        raise DataError(lines_and_list(problems, load_settings().artifacts))
    return _dataset(spec, listing, verdicts, placed=placed, found=replace(found, moved=moved))


def _read(spec: DataSpec, *, base: Path) -> Listing:
    reader = readers.load(readers.choose(spec, base=base))
    listing = reader.read(spec, base=base)
    # Order by id, so that positions are the same wherever the data lies.
    listing = listing.keep(
        sorted(range(len(listing.samples)), key=lambda index: listing.samples[index].id)
    )
    if spec.limit is None:
        return listing
    try:
        return listing.keep(subsample(listing.samples, spec.limit, seed=spec.split.seed))
    except DataError as error:
        raise DataError([*lines(listing.problems), *error.problems]) from error


def _faults(verdicts: Sequence[Verdict]) -> list[Problem]:
    kind = "images that cannot be decoded"
    way_out = "To leave out such images: data.on_bad_image: skip."
    return [Problem(kind, verdict.fault, way_out) for verdict in verdicts if verdict.fault]


def _without_bad(
    listing: Listing, verdicts: Sequence[Verdict]
) -> tuple[Listing, tuple[Verdict, ...]]:
    good = [index for index, verdict in enumerate(verdicts) if verdict.fault is None]
    bad = [listing.samples[index].id for index, verdict in enumerate(verdicts) if verdict.fault]
    kept = listing.keep(good)
    kept = Listing(kept.samples, kept.images, kept.problems, (*kept.skipped, *bad), kept.blamed)
    return kept, tuple(verdicts[index] for index in good)


def _placed(
    spec: DataSpec, samples: tuple[Sample, ...], verdicts: Sequence[Verdict]
) -> tuple[tuple[Sample, ...], tuple[str, ...], list[Problem]]:
    """The samples as they are to be split, with copies together; the ids moved; what is wrong."""
    # An image that cannot be decoded is a copy of nothing.
    pixels = [
        verdict.pixels or sample.id for verdict, sample in zip(verdicts, samples, strict=True)
    ]
    if spec.on_duplicates == "refuse":
        torn = crossing(samples, pixels)
        return (samples if torn else tie(samples, pixels)), (), torn
    placed, moved = move_to_train(samples, pixels)
    emptied = {each.split for each in samples} - {each.split for each in placed} - {"train"}
    problems = [
        Problem(
            "splits without a picture of their own",
            f"Every picture of the {name} split is also in another one. "
            "Give it other pictures, or none at all to have it drawn.",
        )
        for name in sorted(name for name in emptied if name is not None)
    ]
    return tie(placed, pixels), moved, problems


def _dataset(
    spec: DataSpec,
    listing: Listing,
    verdicts: Sequence[Verdict],
    *,
    placed: Sequence[Sample],
    found: DataAudit,
) -> Dataset:
    samples = listing.samples
    hashes = tuple(verdict.sha256 or "" for verdict in verdicts)
    class_names = tuple(sorted({sample.label for sample in samples}))
    position = {name: index for index, name in enumerate(class_names)}
    labels = np.array([position[sample.label] for sample in samples], dtype=np.int64)
    splits = split(placed, spec.split)
    summary = DataSummary(
        fingerprint=fingerprint(samples, hashes),
        class_names=class_names,
        counts={name: len(indices(splits, name)) for name in SPLITS},
        class_counts=_class_counts(labels, splits, class_names),
        validation_ids=tuple(samples[index].id for index in splits.validation),
        validation_labels=labels[splits.validation],
        skipped=tuple(map(visible, listing.skipped)),
        audit=_with_duplicates(found, samples, splits, verdicts),
    )
    pixels = tuple(verdict.pixels or "" for verdict in verdicts)
    return Dataset(samples, class_names, labels, splits, summary, listing.images, hashes, pixels)


def _with_duplicates(
    found: DataAudit, samples: Sequence[Sample], splits: Splits, verdicts: Sequence[Verdict]
) -> DataAudit:
    names = {index: name for name in SPLITS for index in indices(splits, name).tolist()}
    copies, near = describe(
        samples,
        [names[index] for index in range(len(samples))],
        pixels=[verdict.pixels or "" for verdict in verdicts],
        alike=[verdict.alike for verdict in verdicts],
    )
    small = sum(verdict.alike == NOT_COMPARED for verdict in verdicts)
    return replace(found, copies=copies, near=near, equality_only=small)


def indices(splits: Splits, name: SplitName) -> Ints:
    """The positions of one split."""
    match name:
        case "train":
            return splits.train
        case "validation":
            return splits.validation
        case "test":
            return splits.test


def _class_counts(
    labels: Ints, splits: Splits, class_names: Sequence[str]
) -> dict[str, dict[SplitName, int]]:
    counts = {
        name: np.bincount(labels[indices(splits, name)], minlength=len(class_names))
        for name in SPLITS
    }
    return {
        class_name: {name: int(counts[name][index]) for name in SPLITS}
        for index, class_name in enumerate(class_names)
    }
