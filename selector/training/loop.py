"""Training, one epoch at a time: a generator that the caller may leave after any epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Generator

import torch
from torch import Tensor

from selector.errors import TrialFailedError
from selector.records import EpochResult, Recipe, TrainingData
from selector.tasks.base import Task
from selector.training.cache import PrefixCache
from selector.training.evaluation import split_log_probabilities
from selector.training.memory import out_of_memory_fails_the_trial
from selector.training.network import Network
from selector.training.portions import Portion, Portions
from selector.training.prefix import HOLD_BYTES
from selector.training.ranks import Ranks
from selector.training.resume import Keeper, put_back
from selector.training.seeds import Stream, generator
from selector.training.sources import Sources, open_sources
from selector.training.steps import Steps
from selector.training.tally import Tally, fetch_later, tally
from selector.training.transfer import send


def train(
    network: Network,
    data: TrainingData,
    recipe: Recipe,
    *,
    device: torch.device,
    task: Task,
    hold_bytes: int = HOLD_BYTES,
    prefix_cache: PrefixCache | None = None,
    keeper: Keeper | None = None,
    portions: Portions | None = None,
    ranks: Ranks | None = None,
) -> Generator[EpochResult, None, None]:
    """Train `network` in place and yield one result an epoch, counted from 1.

    When a result is yielded, the network has the weights that gave it: take `trained_state()` then
    to keep them. Leave early with `contextlib.closing`, or device memory outlives the trial.
    Outputs of the frozen stages come from `prefix_cache`, or are held in memory up to `hold_bytes`;
    computing them counts as time of the first epoch. With fp32 on a CPU both give the same bits.
    The device is waited for once an epoch. `keeper` is asked after every step whether it wants the
    state of the training; where it has one of an earlier attempt, the epochs from there on come out
    as they would have then: with fp32 on a CPU, bit by bit. Where memory has no room for a batch,
    it goes through the network in parts, and their gradients are summed before the one update;
    `portions` remembers that for the trials after this one. Of several `ranks` each calls this with
    the same arguments, but rank 0 alone with a keeper that keeps, and goes through its part of
    every batch and of the validation samples; what each yields holds for all. Raises
    TrialFailedError with the cause `non_finite` at the end of the epoch in which a loss was not
    finite, or `oom`.
    """
    start = keeper.start if keeper is not None else None
    began = time.perf_counter()
    own = (portions or Portions()).of(recipe)
    if start is not None:
        own.take_up(start)
    with out_of_memory_fails_the_trial(recipe, device, at_once=lambda: own.steps.limit):
        network.place(device)
        sources = open_sources(
            network,
            data,
            recipe,
            device=device,
            hold_bytes=hold_bytes,
            prefix_cache=prefix_cache,
            portion=own.outputs,
        )
        steps = Steps.prepare(
            network,
            data.train.labels,
            recipe,
            n_classes=len(data.class_names),
            device=device,
            task=task,
            portion=own.steps,
            ranks=ranks,
        )
        labels = send(torch.tensor(data.validation.labels, dtype=torch.int64), device)
        steps.began = began
        if start is not None:
            put_back(start, network, steps.optimizer, steps.scaler)
            steps.began -= start.seconds
        steps.join_ranks(sources.validation)
    for epoch in range(start.epoch if start is not None else 1, recipe.epochs + 1):
        with out_of_memory_fails_the_trial(recipe, device, at_once=lambda: own.steps.limit):
            draws = generator(recipe.seed, Stream.AUGMENT, epoch=epoch)
            total = steps.epoch(
                sources.train(epoch, draws), epoch, draws=draws, start=start, keeper=keeper
            )
            start = None  # only the first epoch here was begun before
            predictions = _predictions(steps, sources, own.outputs)
            found = tally(total, predictions, labels)
        _require_finite(found, recipe, epoch)
        yield EpochResult(
            epoch=epoch,
            train_loss=found.train_loss / len(data.train.labels),
            validation_loss=found.validation_loss,
            lr=steps.lr,
            seconds=time.perf_counter() - steps.began,
            confusion=found.confusion,
            fetch=fetch_later(predictions),
            micro_batch=steps.micro_batch,
        )
        if keeper is not None and epoch < recipe.epochs and keeper.wants(0):
            keeper.keep(steps.state(epoch + 1))
        # The caller's time between two epochs is not ours.
        steps.began = time.perf_counter()


def _predictions(steps: Steps, sources: Sources, portion: Portion) -> Tensor:
    """Log probabilities (validation samples, classes) of the network as it is now."""
    return split_log_probabilities(
        steps.network,
        sources.validation,
        sources.n_validation,
        task=steps.task,
        device=steps.device,
        precision=steps.recipe.precision,
        portion=portion,
        ranks=steps.ranks,
    )


def _require_finite(found: Tally, recipe: Recipe, epoch: int) -> None:
    if not math.isfinite(found.train_loss):
        raise non_finite("training loss is", recipe, epoch)
    # The last update may have broken the weights after the last finite loss.
    if not found.finite:
        raise non_finite("validation predictions are", recipe, epoch)


def non_finite(what: str, recipe: Recipe, epoch: int) -> TrialFailedError:
    """The failure of a trial that computes with infinities or NaN; `what` ends in a verb."""
    return TrialFailedError(
        "non_finite",
        f"{recipe.backbone}: {what} not finite in epoch {epoch} at lr {recipe.lr:g} "
        f"({recipe.optimizer}, {recipe.precision}). Lower the upper end of 'lr'.",
    )
