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

    def loss_weight(self, targets: Tensor, *, class_weights: Tensor | None) -> Tensor:
        """The sum of the weights of the classes (batch,), 1 each without `class_weights`."""
        if class_weights is None:
            return torch.full((), float(len(targets)), device=targets.device)
        return class_weights[targets].sum()

    def stacked_loss(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        label_smoothing: Tensor,
        class_weights: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of each head (heads,), and its gradient (heads, batch, classes)."""
        classes = logits.shape[2]
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            log_p = F.log_softmax(leaf, dim=2)
        weights = logits.new_ones(classes) if class_weights is None else class_weights
        of_sample = weights[targets]
        hard, soft = (1 - label_smoothing).float(), (label_smoothing / classes).float()
        # The same divisions as in `F.cross_entropy`, which sums the weights in two ways.
        if class_weights is None:
            hard, soft = hard / len(targets), soft / len(targets)
        else:
            ones = -logits.new_ones(len(targets), classes)
            hard = hard / F.nll_loss(ones, targets, weights, reduction="sum")
            soft = soft / of_sample.sum()
        one_hot = torch.zeros_like(logits[0]).scatter_(1, targets[:, None], of_sample[:, None])
        by_log_p = -(one_hot * hard[:, None, None]) - weights * soft[:, None, None]
        (gradients,) = torch.autograd.grad(log_p, leaf, by_log_p)
        return (log_p.detach() * by_log_p).sum((1, 2)), gradients

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Log softmax (batch, classes) in float32."""
        return F.log_softmax(logits.float(), dim=1)
