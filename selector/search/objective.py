"""One trial, from its parameters to its end: trained, scored, pruned, kept."""

from __future__ import annotations

import math
import time
import traceback
from contextlib import closing
from dataclasses import dataclass

from selector.errors import SelectorError, TrialFailedError
from selector.events import EpochEnded, TrialNote
from selector.interrupts import Stop
from selector.records import (
    Candidate,
    EpochRecord,
    EpochResult,
    Recipe,
    TrainingData,
    TrialEnd,
)
from selector.search import keeping, resuming
from selector.search.claims import Claim
from selector.search.context import StudyContext
from selector.search.progress import Progress
from selector.search.recipe import recipe_of, untrained, weights_of
from selector.training import Network, trains_batch_norm
from selector.training.memory import out_of_memory_fails_the_trial
from selector.training.ranks import norms_apart


def run_trial(
    claim: Claim, context: StudyContext, *, deadline: float | None, stop: Stop | None = None
) -> TrialEnd:
    """Train one trial to its end and say how it ended; only the run's own faults are raised.

    It goes on where an earlier attempt left it. `deadline` is the monotonic time after which the
    trial stops at the end of its epoch and stands as it is; `stop` ends it after the step, for
    another attempt, with KeyboardInterrupt.
    """
    trial = _Trial(
        claim,
        context,
        Progress(maximize=context.spec.metric.goal == "maximize"),
        deadline=deadline,
        stop=stop or Stop(None),
    )
    try:
        return _attempt(trial)
    except TrialFailedError as failure:
        return _failed(trial, failure.cause, str(failure))
    except SelectorError:
        raise
    except Exception as failure:  # noqa: BLE001 - the trial's edge: a bug in one trial, not in all
        message = f"{type(failure).__name__}: {failure}\n{traceback.format_exc(limit=-5)}"
        return _failed(trial, "bug", message)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What the parts of one attempt share."""

    claim: Claim
    context: StudyContext
    progress: Progress
    deadline: float | None
    stop: Stop

    @property
    def out_of_time(self) -> bool:
        """Whether the trial has to stand as it is now."""
        limit = self.context.spec.budget.trial_time
        if limit is not None and self.progress.seconds >= limit:
            return True
        return self.deadline is not None and time.monotonic() >= self.deadline


def _attempt(trial: _Trial) -> TrialEnd:
    claim, context, progress = trial.claim, trial.context, trial.progress
    recipe = recipe_of(claim.params, context.spec, epochs=claim.epochs, device=context.device)
    with out_of_memory_fails_the_trial(recipe, context.device):
        candidate = _candidate(trial, recipe)
    return TrialEnd(
        number=claim.number,
        state="pruned" if candidate is None else "complete",
        epochs=tuple(progress.epochs),
        score=progress.best.score if progress.best else None,
        best_epoch=progress.best.epoch if progress.best else None,
        seconds=progress.seconds,
        candidate=candidate,
        micro_batch=progress.micro_batch,
        norm_by_micro_batch=progress.norm_by_micro_batch,
    )


def _candidate(trial: _Trial, recipe: Recipe) -> Candidate | None:
    """The candidate that training ends with; None for a pruned trial."""
    context, progress = trial.context, trial.progress
    weights = weights_of(context.spec, recipe.backbone, base=context.base)
    begun = untrained(recipe, weights, decode=context.decode, task=context.task)
    network, data = begun.network, begun.data
    if _train(trial, network, data, recipe):
        return None
    assert progress.best is not None and progress.best_log_probabilities is not None
    network.load_trained_state(progress.best_state)
    return keeping.keep(
        network,
        progress.best_log_probabilities,
        keeping.Origin(trial.claim.number, recipe, weights, progress.best),
        data=data,
        context=context,
    )


def _train(trial: _Trial, network: Network, data: TrainingData, recipe: Recipe) -> bool:
    """Train to the last epoch, the deadline or the pruner's stop; True when pruned."""
    claim, context, progress = trial.claim, trial.context, trial.progress
    keeper = resuming.open_point(
        claim.number, network, data, recipe, context=context, progress=progress, stop=trial.stop
    )
    report_missing(claim, progress)
    epochs = (context.epochs or context.alone)(network, data, recipe, keeper)
    # A generator left early is closed here, or its tensors would outlive the pruned trial.
    with closing(epochs):
        for result in epochs:
            _note_micro_batch(trial, network, result, recipe)
            _note_norms(trial, network)
            record = _scored(result, data, context)
            if progress.add(record):
                progress.best_state = network.trained_state()
                progress.best_log_probabilities = result.log_probabilities
            _tell_observer(claim, record, progress, context)
            behind = should_prune(claim, record)
            if behind and result.epoch < recipe.epochs:
                return True
            if trial.out_of_time:
                return False
    return False


def _note_micro_batch(trial: _Trial, network: Network, result: EpochResult, recipe: Recipe) -> None:
    """Remember, and say once, that batches went through the network in parts."""
    progress, micro = trial.progress, result.micro_batch
    if micro is None or micro == progress.micro_batch:
        return
    progress.micro_batch, progress.norm_by_micro_batch = micro, trains_batch_norm(network)
    text = f"memory has no room for batches of {recipe.batch_size}; they go through {micro} at once"
    note = TrialNote(number=trial.claim.number, text=text)
    trial.context.observe(note)


def _note_norms(trial: _Trial, network: Network) -> None:
    """Say once that batch normalisation was trained on less than a batch, for several devices."""
    devices = trial.context.devices_of(network)
    if devices == 1 or len(trial.progress.epochs) > 0 or not norms_apart(network):
        return
    text = f"batch normalisation is trained on each of {devices} devices by itself"
    trial.context.observe(TrialNote(number=trial.claim.number, text=text))


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


def report_missing(claim: Claim, progress: Progress) -> None:
    """Have Optuna told of what an earlier attempt reached, where its report was lost."""
    for record in progress.epochs:
        claim.reports.keep(record.epoch, record.score)


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
            train_loss=record.train_loss,
            validation_loss=record.validation_loss,
            lr=record.lr,
        )
    )


def _failed(trial: _Trial, cause: str, message: str) -> TrialEnd:
    progress = trial.progress
    return TrialEnd(
        number=trial.claim.number,
        state="failed",
        epochs=tuple(progress.epochs),
        score=progress.best.score if progress.best else None,
        best_epoch=progress.best.epoch if progress.best else None,
        seconds=progress.seconds,
        failure_cause=cause,
        failure_message=message,
        micro_batch=progress.micro_batch,
        norm_by_micro_batch=progress.norm_by_micro_batch,
    )
