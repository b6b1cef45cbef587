from __future__ import annotations

import pytest

from selector.data.fingerprint import fingerprint
from selector.records import Sample

SAMPLES = [Sample("a.png", "ant"), Sample("b.png", "bee", split="train")]
HASHES = ["11", "22"]


def test_the_order_of_samples_does_not_matter() -> None:
    assert fingerprint(SAMPLES, HASHES) == fingerprint(SAMPLES[::-1], HASHES[::-1])


@pytest.mark.parametrize(
    ("changed", "hashes"),
    [
        (Sample("c.png", "ant"), HASHES),
        (Sample("a.png", "bee"), HASHES),
        (Sample("a.png", "ant", split="train"), HASHES),
        (Sample("a.png", "ant"), ["33", "22"]),
    ],
    ids=["path", "label", "split", "content"],
)
def test_it_changes_with(changed: Sample, hashes: list[str]) -> None:
    assert fingerprint([changed, SAMPLES[1]], hashes) != fingerprint(SAMPLES, HASHES)


def test_a_separator_in_a_name_is_not_mistaken_for_one() -> None:
    one = fingerprint([Sample('a", "b', "c")], ["1"])
    other = fingerprint([Sample("a", 'b", "c')], ["1"])
    assert one != other
