"""Proxies of backbones in the store."""

from __future__ import annotations

from typing import Any

import pytest

from selector.errors import InputError
from selector.records import BackboneProxies
from selector.store import Store

ROWS = tuple(
    BackboneProxies(
        backbone=name, image_size=96, knn=0.5, probe=1 / 3, parameters=2**33, seconds=1.5
    )
    for name in ("timm:resnet18", "toy:cnn")
)


def test_proxies_come_back_by_backbone_as_they_went_in(filled: Store) -> None:
    assert filled.proxies("flowers") == ()
    filled.record_proxies("flowers", ROWS[::-1])
    assert filled.proxies("flowers") == ROWS


def test_what_was_measured_first_stays(filled: Store) -> None:
    filled.record_proxies("flowers", ROWS[:1])
    filled.record_proxies("flowers", ROWS)
    assert filled.proxies("flowers") == ROWS[:1]


def test_proxies_belong_to_one_study_and_go_with_it(filled: Store, results: Any) -> None:
    filled.create_study(results.study("other"))
    filled.record_proxies("flowers", ROWS)
    assert filled.proxies("other") == ()
    filled.delete_study("flowers")
    filled.create_study(results.study("flowers"))
    assert filled.proxies("flowers") == ()
    with pytest.raises(InputError, match="nobody"):
        filled.record_proxies("nobody", ROWS)
