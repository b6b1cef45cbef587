"""Image classification: one label out of several for each image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_STD = 0.02


class ImageClassification:
    """A linear head, cross-entropy and softmax."""

    def head(self, feature_dim: int, n_classes: int, *, seed: int) -> nn.Module:
        """A linear layer: weights from a normal of standard deviation 0.02, biases 0.

        Library defaults differ tenfold between architectures; one draw for all keeps the first
        epochs of different backbones comparable, and pruning fair.
        """
        # On the meta device the layer's own first draw is skipped: it would move the caller's
        # random numbers for nothing.
        linear = nn.Linear(feature_dim, n_classes, device="meta").to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            linear.weight.normal_(0.0, HEAD_STD, generator=generator)
            linear.bias.zero_()
        return linear

    def loss(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        label_smoothing: float,
        class_weights: Tensor | None,
    ) -> Tensor:
        """Mean cross-entropy of logits (batch, classes) and class indices (batch,)."""
        return F.cross_entropy(
            logits.float(), targets, weight=class_weights, label_smoothing=label_smoothing
        )

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Log softmax (batch, classes) in float32."""
        return F.log_softmax(logits.float(), dim=1)
