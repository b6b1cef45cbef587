"""The seam of tasks: what is put on top of a backbone, and how it learns and answers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Task(Protocol):
    """What is predicted from a backbone's features."""

    def head(self, feature_dim: int, n_classes: int, *, seed: int) -> nn.Module:
        """The layer that turns features (batch, feature_dim) into logits (batch, n_classes).

        Its weights are drawn from `seed` alone and small, alike for every backbone.
        """
        ...

    def loss(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        label_smoothing: float,
        class_weights: Tensor | None,
    ) -> Tensor:
        """The mean training loss, a scalar, of logits (batch, classes) and targets (batch,).

        `class_weights` is (classes,), or None for equal ones.
        """
        ...

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Log probabilities (batch, classes) in float32, whatever precision the logits have."""
        ...
