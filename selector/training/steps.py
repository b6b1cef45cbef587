"""The steps of one epoch: forward, backward, update. Nothing in them waits for the device."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from selector.records import Ints, Recipe
from selector.tasks.base import Task
from selector.training import optim, precision
from selector.training.batches import epoch_order, training_batches
from selector.training.memory import is_out_of_memory
from selector.training.network import Network
from selector.training.portions import (
    Before,
    Portion,
    nearly_equal,
    release,
    trains_batch_norm,
)
from selector.training.prefix import PrefixSource
from selector.training.ranks import Part, Ranks, in_parallel, synchronise_norms
from selector.training.resume import (
    Keeper,
    TrainingState,
    captured,
    position,
    put_position_back,
)
from selector.training.seeds import seeded_layers
from selector.training.transfer import send

_NOTHING: Mapping[str, Tensor] = {}


@dataclass
class Steps:
    """What all epochs of one trial share.

    `lr` is the head's rate in the latest step, `began` the time (of `time.perf_counter`) at which
    the epoch began: earlier, where an earlier attempt already trained on it.
    """

    network: Network
    recipe: Recipe
    task: Task
    device: torch.device
    labels: Tensor  # (train samples,) on the CPU
    class_weights: Tensor | None  # (classes,) on the device
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    portion: Portion
    smallest: int  # samples at once; batch normalisation has no variance of a single one
    before: Before
    ranks: Ranks
    parallel: DistributedDataParallel | None = None  # the suffix, where there are several ranks
    lr: float = 0.0
    began: float = 0.0

    @classmethod
    def prepare(
        cls,
        network: Network,
        labels: Ints,
        recipe: Recipe,
        *,
        n_classes: int,
        device: torch.device,
        task: Task,
        portion: Portion | None = None,
        ranks: Ranks | None = None,
    ) -> Self:
        """A trial before its first step; `labels` are those of the training samples.

        `portion` bounds what goes through the network at once, and is lessened where memory asks.
        """
        weights = None
        if recipe.class_weights == "balanced":
            weights = optim.balanced_class_weights(labels, n_classes).to(device)
        return cls(
            network=network,
            recipe=recipe,
            task=task,
            device=device,
            labels=torch.tensor(labels, dtype=torch.int64),
            class_weights=weights,
            optimizer=optim.build_optimizer(network, recipe, device=device),
            scaler=precision.grad_scaler(recipe.precision, device),
            portion=portion or Portion(),
            smallest=2 if trains_batch_norm(network) else 1,
            before=Before(network, device),
            ranks=ranks or Ranks(),
        )

    def join_ranks(self, source: PrefixSource) -> None:
        """Train with the other ranks from here on, if there are any, from the weights of rank 0."""
        if self.ranks.several:
            self.ranks.meet()
            synchronise_norms(self.network, self.device)
            example = source.features(torch.arange(1))
            self.parallel = in_parallel(self.network, example, self.device)

    def state(
        self, epoch: int, step: int = 0, within: Mapping[str, Tensor] = _NOTHING
    ) -> TrainingState:
        """All that goes on from here depends on: `step` is the next one of the epoch."""
        return captured(
            self.network,
            self.optimizer,
            self.scaler,
            epoch=epoch,
            step=step,
            seconds=time.perf_counter() - self.began if step else 0.0,
            within=within,
            micro_batch=self.micro_batch,
        )

    @property
    def micro_batch(self) -> int | None:
        """How many samples go through the network at once; None: whole batches."""
        limit = self.portion.limit
        return limit if limit is not None and limit < self.recipe.batch_size else None

    def epoch(
        self,
        source: PrefixSource,
        epoch: int,
        *,
        draws: torch.Generator | None = None,
        start: TrainingState | None = None,
        keeper: Keeper | None = None,
    ) -> Tensor:
        """One pass over the training samples; the sum of their losses, a scalar on the device.

        The sum is not finite where one of the losses was not. `start` is where an earlier attempt
        left this epoch; `keeper` is asked after every step whether it wants the state. `draws` is
        the generator that `source` takes its random views from.
        """
        recipe, n = self.recipe, len(self.labels)
        batches = training_batches(epoch_order(n, seed=recipe.seed, epoch=epoch), recipe.batch_size)
        # All targets of the epoch in one copy.
        ordered = send(self.labels[torch.cat(list(batches))], self.device)
        targets = torch.split(ordered, [len(indices) for indices in batches])
        done = start.step if start is not None else 0
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        self.network.train()
        # The stream may read ahead in a thread, which ends with it.
        with (
            seeded_layers(recipe.seed, self.device, epoch=epoch, rank=self.ranks.rank),
            closing(source.stream(batches[done:], self._cut)) as stream,
        ):
            if start is not None and done:
                # Of what layers draw from, only rank 0's streams are kept.
                own = self.ranks.rank == 0
                put_position_back(start, total, self.device, draws, layers=own)
                self._set_learning_rate(epoch, done - 1, len(batches))
            pairs = zip(stream, targets[done:], strict=True)
            for step, (inputs, wanted) in enumerate(pairs, start=done):
                self._set_learning_rate(epoch, step, len(batches))
                total += self._step(inputs, wanted) * len(wanted)
                if keeper is not None and keeper.wants(step + 1):
                    within = position(total, self.device, draws)
                    keeper.keep(self.state(epoch, step + 1, within))
        self.ranks.average(self.network)
        return total

    def _cut(self, batch: Tensor) -> Tensor:
        """This rank's part of a batch."""
        return batch[self._part(len(batch)).rows] if self.ranks.several else batch

    def _part(self, samples: int) -> Part:
        return self.ranks.part(samples, smallest=self.smallest)

    def _step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """One update of the weights by a batch; its mean loss before it.

        `inputs` are those of this rank's part, `targets` (batch,) of all.
        """
        recipe, scaler = self.recipe, self.scaler
        loss = self.ranks.summed(self._fitting_backward(inputs, targets).detach())
        if recipe.clip_norm > 0:
            scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(_trained(self.optimizer), recipe.clip_norm)
        # Only fp16 has a scaler that does anything.
        scaler.step(self.optimizer)
        scaler.update()
        return loss

    def _fitting_backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch and its gradients, in as many parts as memory asks for.

        A step that fails half way leaves nothing behind: it starts again from the random numbers
        and normalisation statistics before it. Weights and moments are not touched here.
        """
        self.before.keep()
        while True:
            sizes = self._sizes(len(inputs), len(targets))
            try:
                return self._backward(inputs, targets, sizes)
            except (MemoryError, RuntimeError) as error:
                # Other ranks wait for the gradients of this one: it cannot begin again by itself.
                if not is_out_of_memory(error) or self.ranks.several:
                    raise
                if not self.portion.halve(max(sizes), smallest=self.smallest):
                    raise
            # Only here, for as long as the error lives it holds what the attempt had allocated.
            self.optimizer.zero_grad(set_to_none=True)
            release(self.device)
            self.before.put_back()

    def _sizes(self, samples: int, of_batch: int) -> Sequence[int]:
        """Sizes of the parts in which this rank's samples go through the network.

        All ranks have as many parts: where normalisation looks at the whole batch, they meet in
        each. A part may exceed the limit by one for that.
        """
        least = self.ranks.least(of_batch, smallest=self.smallest)
        return nearly_equal(samples, len(self.portion.sizes(least, smallest=self.smallest)))

    def _backward(self, inputs: Tensor, targets: Tensor, sizes: Sequence[int]) -> Tensor:
        """The mean loss of a batch and its gradients, summed over parts of these sizes.

        Of several ranks, each gives its own part's share in both.
        """
        self.optimizer.zero_grad(set_to_none=True)
        if len(sizes) == 1 and not self.ranks.several:
            loss = self._loss(inputs, targets)
            torch.autograd.backward(self.scaler.scale(loss))
            return loss
        total = torch.zeros((), device=self.device)
        whole = self.task.loss_weight(targets, class_weights=self.class_weights)
        mine = self._part(len(targets))
        inputs_of, targets_of = (torch.split(x, list(sizes)) for x in (inputs, targets[mine.rows]))
        for number, (part, wanted) in enumerate(zip(inputs_of, targets_of, strict=True), start=1):
            weight = self.task.loss_weight(wanted, class_weights=self.class_weights) * mine.counts
            with self._reducing(number == len(sizes)):
                loss = self._loss(part, wanted) * (weight / whole)
                # The ranks' gradients are averaged, and their sum is meant.
                torch.autograd.backward(self.scaler.scale(loss * self.ranks.size))
            total += loss.detach()
        return total

    def _reducing(self, last: bool) -> AbstractContextManager[None]:
        """Within, gradients are handed round where this is the last part of a batch."""
        if self.parallel is None or last:
            return nullcontext()
        return self.parallel.no_sync()

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The mean training loss of samples, a scalar."""
        with precision.autocast(self.recipe.precision, self.device):
            logits = (self.parallel or self.network.suffix)(inputs)
        return self.task.loss(
            logits.float(),
            targets,
            label_smoothing=self.recipe.label_smoothing,
            class_weights=self.class_weights,
        )

    def _set_learning_rate(self, epoch: int, step: int, steps_an_epoch: int) -> None:
        recipe = self.recipe
        factor = optim.schedule_factor(
            (epoch - 1) * steps_an_epoch + step,
            recipe.epochs * steps_an_epoch,
            warmup_steps=round(recipe.warmup_epochs * steps_an_epoch),
            schedule=recipe.schedule,
        )
        optim.set_learning_rates(self.optimizer, factor)
        self.lr = recipe.lr * factor


def _trained(optimizer: Optimizer) -> Sequence[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
