"""Many linear heads on one frozen backbone, trained in one pass over its outputs.

Probes of a backbone differ only in how their heads learn, so the frozen outputs, the order of the
samples, the schedule's bookkeeping and the loss are done once for all of them. What remains for
each head, its products of matrices and its update, runs in the kernels that it would use alone, on
tensors of its own: in fp32 on a CPU it gets the same bits, whatever trains beside it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selector.backbones.base import STAGES
from selector.errors import TrialFailedError
from selector.records import EpochResult, Floats, Recipe, TrainingData
from selector.tasks.base import StackedTask, Task
from selector.training import optim, precision
from selector.training.batches import epoch_order, sequential_batches, training_batches
from selector.training.cache import PrefixCache
from selector.training.head_updates import Head, clip
from selector.training.loop import non_finite
from selector.training.network import Network
from selector.training.prefix import FILL_BATCH, HOLD_BYTES
from selector.training.rows import StoredPrefix
from selector.training.sources import open_sources
from selector.training.tally import tally
from selector.training.transfer import send


@dataclass(frozen=True, slots=True)
class HeadEpoch:
    """One epoch of one head: what `train` would yield, and what `trained_state` would give."""

    result: EpochResult
    state: Mapping[str, Tensor]


def group_of(recipe: Recipe) -> Recipe:
    """What recipes share that can be trained together: the recipe without the head's own part."""
    return replace(
        recipe,
        lr=0.0,
        momentum=0.0,
        weight_decay=0.0,
        layer_decay=1.0,
        label_smoothing=0.0,
        warmup_epochs=0.0,
        schedule="constant",
        clip_norm=0.0,
    )


def can_stack(network: Network, recipe: Recipe, task: Task, *, device: torch.device) -> bool:
    """Whether the network is a linear probe that can be trained beside others.

    fp16 is left out: its loss scale would tie the heads together.
    """
    return (
        network.freeze_depth == STAGES
        and type(network.head) is nn.Linear
        and network.head.bias is not None
        and isinstance(task, StackedTask)
        and recipe.precision in ("fp32", "bf16")
        and device.type in ("cpu", "cuda")
    )


class HeadStack:
    """Heads of one group of recipes, trained together epoch by epoch.

    All of them start from the head of `network`, which must be untrained and is left as it is.
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        recipes: Iterable[Recipe],
        *,
        device: torch.device,
        task: StackedTask,
        hold_bytes: int = HOLD_BYTES,
        prefix_cache: PrefixCache | None = None,
    ) -> None:
        started = time.perf_counter()
        distinct = tuple(dict.fromkeys(recipes))
        assert len({group_of(recipe) for recipe in distinct}) == 1, "recipes of several groups"
        assert can_stack(network, distinct[0], task, device=device), "not linear probes"
        self._shared = distinct[0]
        network.place(device)
        self._sources = open_sources(
            network,
            data,
            self._shared,
            device=device,
            hold_bytes=hold_bytes,
            prefix_cache=prefix_cache,
        )
        assert isinstance(network.head, nn.Linear)
        self._heads = [Head(recipe, network.head) for recipe in distinct]
        self._task = task
        self._device = device
        self._labels = torch.tensor(data.validation.labels, dtype=torch.int64)
        self._targets = torch.tensor(data.train.labels, dtype=torch.int64)
        self._class_weights: Tensor | None = None
        if self._shared.class_weights == "balanced":
            weights = optim.balanced_class_weights(data.train.labels, len(data.class_names))
            self._class_weights = weights.to(device)
        self._steps = torch.zeros((), device=device)  # taken so far, by every head
        self._epoch = 0
        self._opening_seconds = time.perf_counter() - started

    @property
    def recipes(self) -> Collection[Recipe]:
        """The heads that are still trained."""
        return [head.recipe for head in self._heads]

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return not self._heads or self._epoch == self._shared.epochs

    @property
    def bytes(self) -> int:
        """The memory that frozen outputs take, and the backbone, which may be needed again."""
        sources = (self._sources.stored, self._sources.validation)
        stored = sum(source.bytes for source in sources if isinstance(source, StoredPrefix))
        return stored + sum(p.nbytes for p in self._sources.computed.network.parameters())

    def drop(self, recipe: Recipe) -> None:
        """Train a head no further; nothing happens where it is not trained any more."""
        self._heads = [head for head in self._heads if head.recipe != recipe]

    def next_epoch(self) -> dict[Recipe, HeadEpoch | TrialFailedError]:
        """Train all heads for one more epoch.

        A head that computes with infinities or NaN gives the failure that it would end with alone,
        and is dropped; the others do not notice. An epoch's `seconds` are a head's share of the
        time that all took together, the first epoch's with the time to get the frozen outputs.
        """
        started = time.perf_counter() - self._opening_seconds
        self._opening_seconds = 0.0
        self._epoch += 1
        total, rates = self._train_epoch()
        losses = (total / len(self._targets)).cpu().numpy()
        predictions = self._predict()
        wrong = self._failures(losses, predictions)
        share = (time.perf_counter() - started) / len(self._heads)
        results: dict[Recipe, HeadEpoch | TrialFailedError] = dict(wrong)
        states = self._states()
        for place, head in enumerate(self._heads):
            if head.recipe not in wrong:
                own = predictions[place].copy()  # a slice would keep those of all heads alive
                found = tally(torch.tensor(losses[place]), torch.from_numpy(own), self._labels)
                result = EpochResult(
                    epoch=self._epoch,
                    train_loss=found.train_loss,
                    validation_loss=found.validation_loss,
                    lr=rates[place],
                    seconds=share,
                    confusion=found.confusion,
                    fetch=partial(_given, own),
                )
                results[head.recipe] = HeadEpoch(result, states[place])
        self._heads = [head for head in self._heads if head.recipe not in wrong]
        return results

    @torch.no_grad()
    def _train_epoch(self) -> tuple[Tensor, Sequence[float]]:
        """One pass over the training samples, in which nothing waits for the device.

        The sum of every head's losses (heads,) on the device, and their last learning rates.
        """
        shared, n = self._shared, len(self._targets)
        order = epoch_order(n, seed=shared.seed, epoch=self._epoch)
        batches = training_batches(order, shared.batch_size)
        source = self._sources.train(self._epoch)
        pass_ = _Pass(self._heads, self._task, self._class_weights, self._device)
        total = torch.zeros(len(self._heads), dtype=torch.float64, device=self._device)
        rates: Sequence[float] = ()
        # All targets of the epoch in one copy.
        ordered = send(self._targets[torch.cat(list(batches))], self._device)
        targets = torch.split(ordered, [len(indices) for indices in batches])
        with closing(source.stream(batches)) as stream:
            for number, (wanted, inputs) in enumerate(zip(targets, stream, strict=True)):
                step = (self._epoch - 1) * len(batches) + number
                rates = [head.lr_at(step, len(batches)) for head in self._heads]
                self._steps += 1
                losses = pass_.step(inputs, wanted, rates=rates, steps=self._steps)
                total += losses * len(wanted)
        return total, rates

    def _states(self) -> Sequence[Mapping[str, Tensor]]:
        """The weights of every head on the CPU, named as in `Network.trained_state`.

        Two copies from the device, however many heads there are: each makes the CPU wait.
        """
        weights = torch.stack([head.weight for head in self._heads]).cpu()
        biases = torch.stack([head.bias for head in self._heads]).cpu()
        # A slice would keep those of all heads alive.
        return [
            {"head.weight": weight.clone(), "head.bias": bias.clone()}
            for weight, bias in zip(weights, biases, strict=True)
        ]

    @torch.no_grad()
    def _predict(self) -> Floats:
        """Log probabilities (heads, validation samples, classes)."""
        batches = sequential_batches(self._sources.n_validation, FILL_BATCH)
        parts = []
        with (
            closing(self._sources.validation.stream(batches)) as stream,
            precision.autocast(self._shared.precision, self._device),
        ):
            for inputs in stream:
                logits = _logits(self._heads, inputs)
                flat = self._task.log_probabilities(logits.flatten(0, 1))
                parts.append(flat.view(logits.shape))
        return np.asarray(torch.cat(parts, dim=1).float().cpu().numpy(), dtype=np.float32)

    def _failures(self, losses: Floats, predictions: Floats) -> dict[Recipe, TrialFailedError]:
        wrong = {}
        learned = np.isfinite(losses).tolist()
        predicted = [bool(np.isfinite(of_head).all()) for of_head in predictions]
        for place, head in enumerate(self._heads):
            if not (learned[place] and predicted[place]):
                # Alone, the loss would have been looked at first.
                what = "validation predictions are" if learned[place] else "training loss is"
                wrong[head.recipe] = non_finite(what, head.recipe, self._epoch)
        return wrong


class _Pass:
    """Heads that take steps together, with room for their gradients."""

    def __init__(
        self,
        heads: Sequence[Head],
        task: StackedTask,
        class_weights: Tensor | None,
        device: torch.device,
    ) -> None:
        self._heads = heads
        self._task = task
        self._class_weights = class_weights
        self._device = device
        first = heads[0]
        self._weight_grads = first.weight.new_empty((len(heads), *first.weight.shape))
        self._bias_grads = first.bias.new_empty((len(heads), *first.bias.shape))
        # A head's own part of the gradients; cutting them out at every step takes its time.
        self._grads = list(zip(self._weight_grads, self._bias_grads, strict=True))
        recipes = [head.recipe for head in heads]
        self._precision = recipes[0].precision
        self._smoothing = torch.tensor(
            [recipe.label_smoothing for recipe in recipes], dtype=torch.float64, device=device
        )
        self._clip_norms = torch.tensor([recipe.clip_norm for recipe in recipes], device=device)
        self._clips = any(recipe.clip_norm > 0 for recipe in recipes)

    def step(
        self, inputs: Tensor, targets: Tensor, *, rates: Sequence[float], steps: Tensor
    ) -> Tensor:
        """One update of every head; their losses (heads,) before it."""
        with precision.autocast(self._precision, self._device):
            logits = _logits(self._heads, inputs)
        losses, gradients = self._task.stacked_loss(
            logits.float(),
            targets,
            label_smoothing=self._smoothing,
            class_weights=self._class_weights,
        )
        # Backwards through the linear layers, in the number format of the way forwards.
        inputs, gradients = inputs.to(logits.dtype), gradients.to(logits.dtype)
        for gradient, grads in zip(gradients, self._grads, strict=True):
            _backward(gradient, inputs, *grads)
        if self._clips:
            clip(self._weight_grads, self._bias_grads, self._clip_norms)
        for head, grads, lr in zip(self._heads, self._grads, rates, strict=True):
            head.update(*grads, lr=lr, steps=steps)
        return losses


def _given(log_probabilities: Floats) -> Floats:
    """Predictions that are on the host already."""
    return log_probabilities


def _logits(heads: Sequence[Head], inputs: Tensor) -> Tensor:
    """Logits (heads, batch, classes) of features (batch, feature_dim)."""
    # One product for all heads would be faster still, and round each head by its neighbours.
    return torch.stack([F.linear(inputs, head.weight, head.bias) for head in heads])


def _backward(gradient: Tensor, inputs: Tensor, weight_grad: Tensor, bias_grad: Tensor) -> None:
    """Gradients of one linear layer from that of its logits, as autograd computes them."""
    if gradient.dtype == weight_grad.dtype:
        torch.mm(gradient.t(), inputs, out=weight_grad)
        torch.sum(gradient, 0, out=bias_grad)
    else:
        weight_grad.copy_(gradient.t() @ inputs)
        bias_grad.copy_(gradient.sum(0))
