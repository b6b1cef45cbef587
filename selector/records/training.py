"""What training takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from selector.records.aliases import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides how one network is trained."""

    backbone: str
    lr: float
    freeze_depth: int
    batch_size: int
    image_size: int
    epochs: int
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    layer_decay: float = 1.0
    label_smoothing: float = 0.0
    augment: str = "none"
    warmup_epochs: float = 0.5
    schedule: Literal["cosine", "constant"] = "cosine"
    class_weights: Literal["none", "balanced"] = "none"
    clip_norm: float = 1.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One epoch of training, seen from outside.

    `confusion` is (n_classes, n_classes) of the validation split: rows are true classes, columns
    predicted ones. `fetch` brings the predictions from the device; most epochs never need them.
    `micro_batch` is how many samples went through the network at once, where memory had no room
    for a whole batch.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    lr: float
    seconds: float
    confusion: Ints
    fetch: Callable[[], Floats]
    micro_batch: int | None = None

    @property
    def log_probabilities(self) -> Floats:
        """Predictions (n_validation, n_classes) float32, in the order of the validation split."""
        return self.fetch()


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch as it is stored: its numbers without the predictions."""

    epoch: int
    train_loss: float
    validation_loss: float
    score: float
    lr: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one network costs on one device, measured; for a plan before the first trial.

    `peak_bytes` is device memory during a training step, None where the device does not count it.
    """

    train_seconds_per_image: float
    evaluation_seconds_per_image: float
    peak_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneProxies:
    """What a backbone's features are worth before any training: scores on the study's metric."""

    backbone: str
    image_size: int
    knn: float  # of the nearest training samples' vote on validation
    probe: float  # of a linear layer
    parameters: int  # without a head
    seconds: float
