"""What every reader promises, on every member of the family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selector.data import readers
from selector.data.readers import Listing
from selector.spec.schema import DataSpec

from ..files import class_folders, data, idx_files, listed_images, table


def _builtin(folder: Path) -> DataSpec:
    return data(source="builtin:digits")


def _idx(folder: Path) -> DataSpec:
    return data(idx_files(folder / "idx"))


def _imagefolder(folder: Path) -> DataSpec:
    return data(class_folders(folder / "tree", {"ant": 4, "bee": 4}))


def _table(folder: Path) -> DataSpec:
    return data(table(folder / "list.csv", listed_images(folder, 4)))


MEMBERS: dict[str, Callable[[Path], DataSpec]] = {
    "builtin": _builtin,
    "idx": _idx,
    "imagefolder": _imagefolder,
    "table": _table,
}


def test_the_suite_covers_the_menu() -> None:
    assert tuple(MEMBERS) == readers.names()


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, DataSpec]:
    return request.param, MEMBERS[request.param](tmp_path)


@pytest.fixture
def listing(member: tuple[str, DataSpec]) -> Listing:
    name, spec = member
    return readers.load(name).read(spec, base=Path())


def test_the_menu_picks_it_for_its_data(member: tuple[str, DataSpec]) -> None:
    name, spec = member
    assert readers.choose(spec, base=Path()) == name


def test_good_data_has_no_problems(listing: Listing) -> None:
    assert listing.problems == () and listing.skipped == ()
    assert len(listing.samples) >= 8


def test_ids_are_unique_and_relative(listing: Listing) -> None:
    ids = [sample.id for sample in listing.samples]
    assert len(set(ids)) == len(ids)
    assert not any(sample_id.startswith(("/", ".")) or "\\" in sample_id for sample_id in ids)


def test_images_are_rgb(listing: Listing) -> None:
    for index in (0, len(listing.samples) - 1):
        assert listing.open(index).mode == "RGB"


def test_the_hash_is_of_the_content(listing: Listing) -> None:
    hashes = [listing.content_hash(index) for index in range(8)]
    assert len(set(hashes)) == 8 and all(len(each) == 64 for each in hashes)
    assert listing.images.load(3).sha256 == hashes[3]


def test_keeping_some_moves_samples_and_images_together(listing: Listing) -> None:
    kept = listing.keep([5, 2])
    assert [sample.id for sample in kept.samples] == [listing.samples[i].id for i in (5, 2)]
    assert kept.content_hash(0) == listing.content_hash(5)
    assert kept.open(1).tobytes() == listing.open(2).tobytes()


def test_reading_twice_gives_the_same(member: tuple[str, DataSpec], listing: Listing) -> None:
    name, spec = member
    again = readers.load(name).read(spec, base=Path())
    assert again.samples == listing.samples
    assert again.content_hash(1) == listing.content_hash(1)
