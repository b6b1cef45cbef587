from __future__ import annotations

import os
from pathlib import Path

import pytest

from selector.data import readers
from selector.data.audit import audit
from selector.data.readers import Listing

from .files import data, picture


def listing_of(folder: Path) -> Listing:
    return readers.load("imagefolder").read(data(folder), base=folder)


def test_every_image_is_decoded_and_hashed(flowers: Path) -> None:
    listing = listing_of(flowers)
    verdicts = audit(listing)
    assert [verdict.sha256 for verdict in verdicts] == [
        listing.content_hash(index) for index in range(len(listing.samples))
    ]
    assert not any(verdict.fault for verdict in verdicts)


def test_a_second_audit_opens_no_file(flowers: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = audit(listing_of(flowers), cache=cache)
    calls: list[int] = []
    second = audit(
        listing_of(flowers), cache=cache, progress=lambda done, total, label: calls.append(done)
    )
    assert (second, calls) == (first, [])


def test_a_changed_file_is_audited_again(flowers: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = audit(listing_of(flowers), cache=cache)
    changed = flowers / "rose" / "000.png"
    before = changed.stat()
    picture(99).save(changed)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    second = audit(listing_of(flowers), cache=cache)
    assert sum(one != other for one, other in zip(first, second, strict=True)) == 1


def test_a_remembered_fault_is_told_again(flowers: Path, tmp_path: Path) -> None:
    (flowers / "rose" / "bad.jpg").write_text("no image")
    verdicts = [audit(listing_of(flowers), cache=tmp_path / "cache") for _ in range(2)]
    assert verdicts[0] == verdicts[1]
    (fault,) = [verdict.fault for verdict in verdicts[1] if verdict.fault]
    assert fault.startswith("rose/bad.jpg: not an image")


def test_a_file_that_cannot_be_read_is_a_fault_that_is_not_remembered(
    flowers: Path, tmp_path: Path
) -> None:
    listing = listing_of(flowers)
    (flowers / "rose" / "000.png").unlink()
    cache = tmp_path / "cache"
    (fault,) = [verdict.fault for verdict in audit(listing, cache=cache) if verdict.fault]
    assert fault == "rose/000.png: cannot be read (No such file or directory)."
    assert not cache.exists()


@pytest.mark.parametrize("count", [0, 3])
def test_images_in_memory_are_hashed(count: int) -> None:
    listing = readers.load("builtin").read(data(source="builtin:digits"), base=Path())
    verdicts = audit(listing.keep(range(count)))
    assert len({verdict.sha256 for verdict in verdicts}) == count
