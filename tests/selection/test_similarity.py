"""How far apart two data sets are."""

from __future__ import annotations

import dataclasses

import pytest

from selector.records import BackboneProxies, ImageStatistics
from selector.selection.similarity import NEAR, MetaFeatures, distance, meta_features
from tests.selection.conftest import make_up

LOOKS = ImageStatistics(images=64, width=224, height=224, mean=(0.5, 0.5, 0.5), sd=(0.2, 0.2, 0.2))
FLOWERS = MetaFeatures(
    metric="f1_macro",
    classes=5,
    examples=1000,
    balance=0.95,
    images=LOOKS,
    landmarks={"timm:resnet18": (0.7, 0.8), "toy:cnn": (0.3, 0.3)},
)


def like(**changes: object) -> MetaFeatures:
    return dataclasses.replace(FLOWERS, **changes)  # type: ignore[arg-type]


def test_a_data_set_is_no_distance_from_itself_and_as_far_from_others_as_they_are_from_it() -> None:
    other = like(classes=50, examples=90)
    assert distance(FLOWERS, FLOWERS) == 0
    assert distance(FLOWERS, other) == distance(other, FLOWERS) > 0


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 40},
        {"examples": 20},
        {"balance": 0.3},
        {"images": dataclasses.replace(LOOKS, width=28, height=28)},
        {"images": dataclasses.replace(LOOKS, mean=(0.05, 0.05, 0.05))},
        {"landmarks": {"timm:resnet18": (0.2, 0.3)}},
    ],
    ids=["classes", "examples", "balance", "sizes", "colours", "landmarks"],
)
def test_every_difference_counts(change: dict[str, object]) -> None:
    assert 0.05 < distance(FLOWERS, like(**change)) < NEAR


def test_wholly_different_data_is_not_near() -> None:
    scans = ImageStatistics(images=64, width=28, height=28, mean=(0.05,) * 3, sd=(0.6,) * 3)
    other = like(classes=200, examples=60_000, images=scans, landmarks={"toy:cnn": (0.9, 0.9)})
    assert distance(FLOWERS, other) > NEAR


def test_what_nobody_measured_counts_for_nothing() -> None:
    bare = like(images=None, landmarks={})
    assert distance(FLOWERS, bare) == 0
    other_metric = like(metric="accuracy", landmarks={"toy:cnn": (0.9, 0.9)})
    assert distance(FLOWERS, other_metric) == 0  # scores of two metrics have nothing in common


def test_meta_features_are_those_of_the_stored_study() -> None:
    study = make_up([0.9], classes=4).study
    proxies = [
        BackboneProxies(
            backbone="toy:cnn", image_size=16, knn=0.4, probe=0.5, parameters=9, seconds=1.0
        )
    ]
    found = meta_features(study, LOOKS, proxies)
    train = sum(counts.get("train", 0) for counts in study.data.class_counts.values())
    assert (found.classes, found.examples) == (4, train)
    assert found.balance == pytest.approx(1.0)
    assert found.images == LOOKS and found.landmarks == {"toy:cnn": (0.4, 0.5)}
