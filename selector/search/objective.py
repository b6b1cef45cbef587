"""One trial, from its parameters to its end: trained, scored, pruned, kept."""

from __future__ import annotations

import math
import time
import traceback
from contextlib import closing
from dataclasses import dataclass, field

from torch import Tensor

from selector import backbones
from selector.errors import SelectorError, TrialFailedError
from selector.events import EpochEnded
from selector.records import (
    Candidate,
    EpochRecord,
    EpochResult,
    Floats,
    Recipe,
    TrainingData,
    TrialEnd,
)
from selector.search import keeping
from selector.search.claims import Claim
from selector.search.context import StudyContext
from selector.search.recipe import recipe_of, weights_of
from selector.training import Network
from selector.training.memory import out_of_memory_fails_the_trial


@dataclass(slots=True)
class Progress:
    """What a running trial has reached: its epochs and its best one."""

    maximize: bool
    epochs: list[EpochRecord] = field(default_factory=list)
    best: EpochRecord | None = None
    best_state: dict[str, Tensor] = field(default_factory=dict)
    best_log_probabilities: Floats | None = None

    def add(self, record: EpochRecord) -> bool:
        """Take in an epoch; True when it is the best so far."""
        self.epochs.append(record)
        better = self.best is None or (
            record.score > self.best.score if self.maximize else record.score < self.best.score
        )
        if better:
            self.best = record
        return better


def run_trial(claim: Claim, context: StudyContext, *, deadline: float | None) -> TrialEnd:
    """Train one trial to its end and say how it ended; only the run's own faults are raised.

    `deadline` is the monotonic time after which the trial stops at the end of its epoch and
    stands as it is.
    """
    started = time.monotonic()
    progress = Progress(maximize=context.spec.metric.goal == "maximize")
    try:
        return _attempt(claim, context, progress, started=started, deadline=deadline)
    except TrialFailedError as failure:
        return _failed(claim, progress, failure.cause, str(failure), started=started)
    except SelectorError:
        raise
    except Exception as failure:  # noqa: BLE001 - the trial's edge: a bug in one trial, not in all
        message = f"{type(failure).__name__}: {failure}\n{traceback.format_exc(limit=-5)}"
        return _failed(claim, progress, "bug", message, started=started)


def _attempt(
    claim: Claim,
    context: StudyContext,
    progress: Progress,
    *,
    started: float,
    deadline: float | None,
) -> TrialEnd:
    recipe = recipe_of(claim.params, context.spec, epochs=claim.epochs, device=context.device)
    with out_of_memory_fails_the_trial(recipe, context.device):
        candidate = _candidate(claim, context, progress, recipe, deadline=deadline)
    return TrialEnd(
        number=claim.number,
        state="pruned" if candidate is None else "complete",
        epochs=tuple(progress.epochs),
        score=progress.best.score if progress.best else None,
        best_epoch=progress.best.epoch if progress.best else None,
        seconds=time.monotonic() - started,
        candidate=candidate,
    )


def _candidate(
    claim: Claim,
    context: StudyContext,
    progress: Progress,
    recipe: Recipe,
    *,
    deadline: float | None,
) -> Candidate | None:
    """The candidate that training ends with; None for a pruned trial."""
    weights = weights_of(context.spec, recipe.backbone, base=context.base)
    backbone = backbones.load(
        recipe.backbone, weights=weights, image_size=recipe.image_size, seed=recipe.seed
    )
    data = context.decode(backbone.preprocessing)
    head = context.task.head(backbone.feature_dim, len(data.class_names), seed=recipe.seed)
    network = Network(backbone, head, freeze_depth=recipe.freeze_depth)
    pruned = _train(
        network, data, recipe, claim=claim, context=context, progress=progress, deadline=deadline
    )
    if pruned:
        return None
    assert progress.best is not None and progress.best_log_probabilities is not None
    network.load_trained_state(progress.best_state)
    return keeping.keep(
        network,
        progress.best_log_probabilities,
        keeping.Origin(claim.number, recipe, weights, progress.best),
        data=data,
        context=context,
    )


def _train(
    network: Network,
    data: TrainingData,
    recipe: Recipe,
    *,
    claim: Claim,
    context: StudyContext,
    progress: Progress,
    deadline: float | None,
) -> bool:
    """Train to the last epoch, the deadline or the pruner's stop; True when pruned."""
    epochs = (context.epochs or context.alone)(network, data, recipe)
    # A generator left early is closed here, or its tensors would outlive the pruned trial.
    with closing(epochs):
        for result in epochs:
            record = _scored(result, data, context)
            if progress.add(record):
                progress.best_state = network.trained_state()
                progress.best_log_probabilities = result.log_probabilities
            _tell_observer(claim, record, progress, context)
            behind = should_prune(claim, record)
            if behind and result.epoch < recipe.epochs:
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
    return False


def _scored(result: EpochResult, data: TrainingData, context: StudyContext) -> EpochRecord:
    score = context.score_of(result, data)
    if not math.isfinite(score):
        raise TrialFailedError(
            "non_finite",
            f"{context.spec.metric.name} is {score} after epoch {result.epoch}.",
        )
    return EpochRecord(
        epoch=result.epoch,
        train_loss=result.train_loss,
        validation_loss=result.validation_loss,
        score=score,
        lr=result.lr,
        seconds=result.seconds,
    )


def should_prune(claim: Claim, record: EpochRecord) -> bool:
    """Report the epoch to Optuna and ask its pruner."""
    return claim.reports.add(record.epoch, record.score)


def _tell_observer(
    claim: Claim, record: EpochRecord, progress: Progress, context: StudyContext
) -> None:
    assert progress.best is not None
    context.observe(
        EpochEnded(
            number=claim.number,
            epoch=record.epoch,
            epochs=claim.epochs,
            score=record.score,
            best_score=progress.best.score,
            seconds=record.seconds,
        )
    )


def _failed(
    claim: Claim, progress: Progress, cause: str, message: str, *, started: float
) -> TrialEnd:
    return TrialEnd(
        number=claim.number,
        state="failed",
        epochs=tuple(progress.epochs),
        score=progress.best.score if progress.best else None,
        best_epoch=progress.best.epoch if progress.best else None,
        seconds=time.monotonic() - started,
        failure_cause=cause,
        failure_message=message,
    )
