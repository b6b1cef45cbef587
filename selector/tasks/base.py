"""The seam of tasks: what is put on top of a backbone, and how it learns and answers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

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

    def loss_weight(self, targets: Tensor, *, class_weights: Tensor | None) -> Tensor:
        """What targets (batch,) weigh in the mean that `loss` is, a scalar.

        The loss of a batch is that of its parts, weighted by this: so it can be computed by parts.
        """
        ...

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Log probabilities (batch, classes) in float32, whatever precision the logits have."""
        ...


@runtime_checkable
class StackedTask(Task, Protocol):
    """A task whose linear heads can be trained side by side, on the same batches."""

    def stacked_loss(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        label_smoothing: Tensor,
        class_weights: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """What `loss` gives for every head, and its gradient with respect to the logits.

        `logits` are (heads, batch, classes) in float32, `targets` (batch,), `label_smoothing`
        (heads,) in float64. Gives losses (heads,) and gradients (heads, batch, classes). Gradients
        have the bits that `loss` gives a head alone on the CPU; losses agree to rounding.
        """
        ...
