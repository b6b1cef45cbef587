"""What a network costs whoever runs it, measured before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """What one backbone with the study's head costs at one image size."""

    backbone: str
    image_size: int
    parameters: int
    size_mb: float  # of all weights and buffers, as they are stored: a million bytes each
    latency_ms: float | None  # one image, median; None where the study does not limit it
    device: str
    threads: int
