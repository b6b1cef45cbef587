"""How alike two data sets are, by what the store knows of them without their images.

Simple meta-features (classes, examples, imbalance), statistics of the images, and landmarks: what
the same backbones' untouched features are worth on both (Pfahringer, Bensusan & Giraud-Carrier,
ICML 2000).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selector.records import BackboneProxies, ImageStatistics, StudyRow

NEAR = 1.0  # the distance up to which data counts as similar

# What each difference is divided by, so that 1 is: a quarter of the classes, a tenth of the
# examples, half of the balance, a quarter of the side, colours a quarter of their range apart,
# backbones a quarter of a score apart. No single difference counts more than `_MOST`.
_CLASSES, _EXAMPLES, _BALANCE, _SIDE = math.log(4), math.log(10), 0.5, math.log(4)
_COLOUR, _LANDMARK = 0.25, 0.25
_MOST = 3.0


@dataclass(frozen=True, slots=True)
class MetaFeatures:
    """What is compared of a data set; what nobody has measured is None or absent.

    `balance` is the entropy of the classes' shares of training, 1 where all are equally large.
    """

    metric: str
    classes: int
    examples: int  # of training
    balance: float
    images: ImageStatistics | None
    landmarks: Mapping[str, tuple[float, float]]  # kNN and probe by backbone


def meta_features(
    study: StudyRow,
    images: ImageStatistics | None,
    proxies: Sequence[BackboneProxies],
) -> MetaFeatures:
    """The meta-features of a stored study."""
    train = [counts.get("train", 0) for counts in study.data.class_counts.values()]
    return MetaFeatures(
        metric=study.metric,
        classes=len(study.data.class_names),
        examples=sum(train),
        balance=_balance(train),
        images=images,
        landmarks={row.backbone: (row.knn, row.probe) for row in proxies},
    )


def distance(one: MetaFeatures, other: MetaFeatures) -> float:
    """How far apart two data sets are: 0 for none at all, 1 for clearly different.

    The mean over counts, images and landmarks, as far as both sides have them.
    """
    groups = [_counts(one, other), _images(one.images, other.images), _landmarks(one, other)]
    means = [float(np.mean(np.minimum(group, _MOST))) for group in groups if group]
    return float(np.mean(means))


def _counts(one: MetaFeatures, other: MetaFeatures) -> list[float]:
    return [
        _ratio(one.classes, other.classes) / _CLASSES,
        _ratio(one.examples, other.examples) / _EXAMPLES,
        abs(one.balance - other.balance) / _BALANCE,
    ]


def _images(one: ImageStatistics | None, other: ImageStatistics | None) -> list[float]:
    if one is None or other is None:
        return []
    return [
        _ratio(one.width, other.width) / _SIDE,
        _ratio(one.height, other.height) / _SIDE,
        float(np.abs(np.subtract(one.mean, other.mean)).mean()) / _COLOUR,
        float(np.abs(np.subtract(one.sd, other.sd)).mean()) / _COLOUR,
    ]


def _landmarks(one: MetaFeatures, other: MetaFeatures) -> list[float]:
    if one.metric != other.metric:
        return []
    shared = one.landmarks.keys() & other.landmarks.keys()
    gaps = (np.abs(np.subtract(one.landmarks[k], other.landmarks[k])) for k in sorted(shared))
    return [float(gap) / _LANDMARK for pair in gaps for gap in pair]


def _ratio(one: float, other: float) -> float:
    return abs(math.log(max(one, 1.0)) - math.log(max(other, 1.0)))


def _balance(counts: Sequence[int]) -> float:
    shares = np.array([count for count in counts if count], dtype=np.float64)
    if len(shares) < 2:
        return 1.0
    shares /= shares.sum()
    return float(-(shares * np.log(shares)).sum() / math.log(len(shares)))
