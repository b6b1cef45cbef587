"""One head among many: its weights, its learning rate and its update, as alone.

The updates call the kernels behind torch.optim's fused optimizers. Those objects spend more time
in Python on a parameter group than so small an update takes, and every head needs two groups.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selector.records import Recipe
from selector.training.optim import schedule_factor

# The defaults of torch.optim.AdamW, which a trial alone uses.
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
CLIP_EPS = 1e-6  # of torch.nn.utils.clip_grad_norm_


class Head:
    """A linear head with what its optimizer remembers, in tensors of its own.

    They are not slices of larger ones: kernels may round by where a tensor starts in memory.
    """

    def __init__(self, recipe: Recipe, start: nn.Linear) -> None:
        self.recipe = recipe
        self.weight = start.weight.detach().clone()  # (classes, features)
        self.bias = start.bias.detach().clone()  # (classes,)
        self._first = True
        count = 2 if recipe.optimizer == "adamw" else 1
        self._of_weight = [torch.zeros_like(self.weight) for _ in range(count)]
        self._of_bias = [torch.zeros_like(self.bias) for _ in range(count)]

    def lr_at(self, step: int, steps_an_epoch: int) -> float:
        """The learning rate at a step of the whole training (0-based)."""
        recipe = self.recipe
        return recipe.lr * schedule_factor(
            step,
            recipe.epochs * steps_an_epoch,
            warmup_steps=round(recipe.warmup_epochs * steps_an_epoch),
            schedule=recipe.schedule,
        )

    def update(self, weight_grad: Tensor, bias_grad: Tensor, *, lr: float, steps: Tensor) -> None:
        """One step of the optimizer; `steps`, counted from 1, says which."""
        parts = (
            (self.weight, weight_grad, self._of_weight, self.recipe.weight_decay),
            (self.bias, bias_grad, self._of_bias, 0.0),
        )
        for param, grad, moments, decay in parts:
            if self.recipe.optimizer == "adamw":
                _adamw(param, grad, moments, lr=lr, decay=decay, steps=steps)
            else:
                self._sgd(param, grad, moments, lr=lr, decay=decay)
        self._first = False

    def _sgd(
        self, param: Tensor, grad: Tensor, moments: list[Tensor], *, lr: float, decay: float
    ) -> None:
        momentum = self.recipe.momentum
        torch._fused_sgd_(
            [param],
            [grad],
            moments if momentum > 0 else [],
            weight_decay=decay,
            momentum=momentum,
            lr=lr,
            dampening=0.0,
            nesterov=momentum > 0,
            maximize=False,
            is_first_step=self._first and momentum > 0,
        )


def clip(weight_grads: Tensor, bias_grads: Tensor, clip_norms: Tensor) -> None:
    """Shorten every head's gradient to at most its norm in `clip_norms` (heads,); 0 leaves it.

    `weight_grads` are (heads, classes, features), `bias_grads` (heads, classes).
    """
    # Head by head: a reduction of all at once may add up in another order. So does one down the
    # columns, which is why a head's two norms are brought side by side.
    norms = torch.stack(torch._foreach_norm([*weight_grads, *bias_grads]))
    total = torch.linalg.vector_norm(norms.view(2, -1).t().contiguous(), dim=1)
    # As torch divides a number by a tensor; a true division differs in the last bit.
    factors = (clip_norms * (total + CLIP_EPS).reciprocal()).clamp(max=1.0)
    factors = torch.where(clip_norms > 0, factors, torch.ones_like(factors))
    weight_grads.mul_(factors[:, None, None])
    bias_grads.mul_(factors[:, None])


def _adamw(
    param: Tensor,
    grad: Tensor,
    moments: list[Tensor],
    *,
    lr: float,
    decay: float,
    steps: Tensor,
) -> None:
    torch._fused_adamw_(
        [param],
        [grad],
        moments[:1],
        moments[1:],
        [],
        [steps],
        lr=lr,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=decay,
        eps=EPS,
        amsgrad=False,
        maximize=False,
    )
