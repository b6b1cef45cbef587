"""Training, one epoch at a time: a generator that the caller may leave after any epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from selector.errors import TrialFailedError
from selector.records import EpochResult, Floats, Ints, Recipe, TrainingData
from selector.tasks.base import Task
from selector.training import optim, precision
from selector.training.batches import epoch_order, training_batches
from selector.training.cache import PrefixCache
from selector.training.evaluation import split_log_probabilities
from selector.training.memory import out_of_memory_fails_the_trial
from selector.training.network import Network
from selector.training.prefix import HOLD_BYTES, PrefixSource
from selector.training.seeds import seeded_layers
from selector.training.sources import Sources, open_sources

CHECK_STEPS = 16  # how often the device is asked whether the loss is still finite


def train(
    network: Network,
    data: TrainingData,
    recipe: Recipe,
    *,
    device: torch.device,
    task: Task,
    hold_bytes: int = HOLD_BYTES,
    prefix_cache: PrefixCache | None = None,
) -> Generator[EpochResult, None, None]:
    """Train `network` in place and yield one result an epoch, counted from 1.

    When a result is yielded, the network has the weights that gave it: take `trained_state()` then
    to keep them. Leave early with `contextlib.closing`, or device memory outlives the trial.
    Outputs of the frozen stages come from `prefix_cache`, or are held in memory up to `hold_bytes`;
    computing them counts as time of the first epoch. With fp32 on a CPU both give the same bits.
    Raises TrialFailedError with the cause `non_finite` or `oom`.
    """
    started = time.perf_counter()
    with out_of_memory_fails_the_trial(recipe, device):
        network.place(device)
        sources = open_sources(
            network, data, recipe, device=device, hold_bytes=hold_bytes, prefix_cache=prefix_cache
        )
        work = _prepare(network, data, recipe, device=device, task=task)
    for epoch in range(1, recipe.epochs + 1):
        with out_of_memory_fails_the_trial(recipe, device):
            train_loss = _train_epoch(work, sources.train(epoch), epoch)
            predictions = _validate(work, sources, epoch)
        yield EpochResult(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=mean_loss(predictions, data.validation.labels),
            lr=work.lr,
            seconds=time.perf_counter() - started,
            log_probabilities=predictions,
        )
        # The caller's time between two epochs is not ours.
        started = time.perf_counter()


@dataclass
class _Work:
    """What all epochs of one trial share; `lr` is the head's rate in the latest step."""

    network: Network
    recipe: Recipe
    task: Task
    device: torch.device
    targets: Tensor  # (train samples,) on the device
    class_weights: Tensor | None  # (classes,) on the device
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    lr: float = 0.0


def _prepare(
    network: Network, data: TrainingData, recipe: Recipe, *, device: torch.device, task: Task
) -> _Work:
    labels = data.train.labels
    weights = None
    if recipe.class_weights == "balanced":
        weights = optim.balanced_class_weights(labels, len(data.class_names)).to(device)
    return _Work(
        network=network,
        recipe=recipe,
        task=task,
        device=device,
        targets=torch.tensor(labels, dtype=torch.int64, device=device),
        class_weights=weights,
        optimizer=optim.build_optimizer(network, recipe, device=device),
        scaler=precision.grad_scaler(recipe.precision, device),
    )


def _train_epoch(work: _Work, source: PrefixSource, epoch: int) -> float:
    """One pass over the training samples; the mean loss of a sample."""
    recipe, n = work.recipe, len(work.targets)
    batches = training_batches(epoch_order(n, seed=recipe.seed, epoch=epoch), recipe.batch_size)
    total = torch.zeros((), dtype=torch.float64, device=work.device)
    work.network.train()
    # The stream may read ahead in a thread, which ends with it.
    with (
        seeded_layers(recipe.seed, work.device, epoch=epoch),
        closing(source.stream(batches)) as stream,
    ):
        for number, (indices, inputs) in enumerate(zip(batches, stream, strict=True), start=1):
            _set_learning_rate(work, (epoch - 1) * len(batches) + number - 1, len(batches))
            loss = _step(work, inputs, work.targets[indices.to(work.device)])
            total += loss.detach() * len(indices)
            # Asking at every step would make the CPU wait for the device each time.
            if number % CHECK_STEPS == 0 or number == len(batches):
                _require_finite(work, float(total), epoch)
    return float(total) / n


def _step(work: _Work, inputs: Tensor, targets: Tensor) -> Tensor:
    """One update of the weights; the loss before it."""
    recipe, scaler = work.recipe, work.scaler
    with precision.autocast(recipe.precision, work.device):
        logits = work.network.suffix(inputs)
    loss = work.task.loss(
        logits.float(),
        targets,
        label_smoothing=recipe.label_smoothing,
        class_weights=work.class_weights,
    )
    work.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(scaler.scale(loss))
    if recipe.clip_norm > 0:
        scaler.unscale_(work.optimizer)
        torch.nn.utils.clip_grad_norm_(_trained(work.optimizer), recipe.clip_norm)
    scaler.step(work.optimizer)
    scaler.update()
    return loss


def _set_learning_rate(work: _Work, step: int, steps_an_epoch: int) -> None:
    recipe = work.recipe
    factor = optim.schedule_factor(
        step,
        recipe.epochs * steps_an_epoch,
        warmup_steps=round(recipe.warmup_epochs * steps_an_epoch),
        schedule=recipe.schedule,
    )
    optim.set_learning_rates(work.optimizer, factor)
    work.lr = recipe.lr * factor


def _validate(work: _Work, sources: Sources, epoch: int) -> Floats:
    """Log probabilities (validation samples, classes) of the network as it is now."""
    predictions = split_log_probabilities(
        work.network,
        sources.validation,
        sources.n_validation,
        task=work.task,
        device=work.device,
        precision=work.recipe.precision,
    )
    # The last update may have broken the weights after the last finite loss.
    if not np.isfinite(predictions).all():
        raise non_finite("validation predictions are", work.recipe, epoch)
    return predictions


def mean_loss(log_probabilities: Floats, labels: Ints) -> float:
    """Mean negative log likelihood, without smoothing or class weights."""
    picked = log_probabilities[np.arange(len(labels)), labels]
    return float(-picked.astype(np.float64).mean())


def _trained(optimizer: Optimizer) -> Sequence[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


# --- failures -----------------------------------------------------------------------------------


def _require_finite(work: _Work, total_loss: float, epoch: int) -> None:
    if not math.isfinite(total_loss):
        raise non_finite("training loss is", work.recipe, epoch)


def non_finite(what: str, recipe: Recipe, epoch: int) -> TrialFailedError:
    """The failure of a trial that computes with infinities or NaN; `what` ends in a verb."""
    return TrialFailedError(
        "non_finite",
        f"{recipe.backbone}: {what} not finite in epoch {epoch} at lr {recipe.lr:g} "
        f"({recipe.optimizer}, {recipe.precision}). Lower the upper end of 'lr'.",
    )
