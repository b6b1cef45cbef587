"""What a candidate says of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a candidate says of one image: its label and the probability of every class."""

    path: str
    label: str
    probabilities: Mapping[str, float]
