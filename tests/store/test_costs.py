"""Costs of networks in the store."""

from __future__ import annotations

from typing import Any

from selector.records import NetworkCost
from selector.store import Store

ROWS = tuple(
    NetworkCost(
        backbone="toy:cnn",
        image_size=size,
        parameters=2**33,
        size_mb=1 / 3,
        latency_ms=latency,
        device="cpu",
        threads=1,
    )
    for size, latency in ((16, 1 / 7), (32, None))
)


def test_costs_come_back_by_backbone_and_size_as_they_went_in(filled: Store) -> None:
    assert filled.costs("flowers") == ()
    filled.record_costs("flowers", ROWS[::-1])
    assert filled.costs("flowers") == ROWS


def test_what_was_measured_first_stays(filled: Store) -> None:
    filled.record_costs("flowers", ())
    filled.record_costs("flowers", ROWS[:1])
    filled.record_costs("flowers", ROWS)
    assert filled.costs("flowers") == ROWS[:1]


def test_costs_go_with_their_study(filled: Store, results: Any) -> None:
    filled.record_costs("flowers", ROWS)
    filled.delete_study("flowers")
    filled.create_study(results.study("flowers"))
    assert filled.costs("flowers") == ()
