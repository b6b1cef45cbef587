"""The loop that takes trials until the budget is spent."""

from __future__ import annotations

import time
from contextlib import suppress

from selector.errors import RankLostError, SelectorError, TrialLostError
from selector.events import TrialEnded, TrialLost, TrialStarted
from selector.interrupts import Stop, held_back
from selector.records import TrialEnd
from selector.search import resuming, retention
from selector.search.ahead import working_ahead
from selector.search.claims import Claim, Claims
from selector.search.context import StudyContext
from selector.search.objective import run_trial
from selector.selection.best import best_candidate


def work(claims: Claims, context: StudyContext) -> str:
    """Take and run trials one after the other; gives the reason why the study ended.

    Whatever stops the worker from outside (Ctrl-C, SIGTERM, a store that stays away) leaves its
    trial to be handed out again with the same number and parameters; the next worker goes on where
    this one stopped. A trial that was handed out while nothing was heard of this worker is
    another's: its result here is dropped. Raises StudyStoppedError, its trial handed back, where
    somebody asked through the store for the study to stop.
    """
    context = working_ahead(claims, context)
    while True:
        claim = claims.take_or_wait()
        if isinstance(claim, str):
            return claim
        try:
            with claim.heartbeat.beating(), held_back(claim.heartbeat.stopped) as stop:
                _work_on(claim, claims, context, stop)
        except TrialLostError as lost:
            context.observe(TrialLost(number=claim.number, reason=str(lost)))
        except RankLostError:
            raise  # not handed back: the next claim counts it as that of a worker that was killed
        except BaseException as error:
            if isinstance(error, SelectorError) and error.trial is None:
                error.trial, error.epoch = claim.number, claim.reports.epoch
            # What stopped the worker is what the user must hear of. A trial that cannot be handed
            # back now, or has ended already, is set right by the first claim of the next run.
            with suppress(SelectorError):
                claims.hand_back(claim)
            raise
        stop.obey()


def _work_on(claim: Claim, claims: Claims, context: StudyContext, stop: Stop) -> None:
    """Run one trial to its end and record that."""
    context.observe(
        TrialStarted(
            number=claim.number,
            backbone=str(claim.params["backbone"]),
            params=claim.params,
            origin=claim.origin,
            heat=claim.heat,
            folds=len(context.folds),
        )
    )
    trained_in = context.for_heat(claim.heat)
    end = run_trial(claim, trained_in, deadline=_deadline(claims, context), stop=stop)
    claims.end(claim, end)
    resuming.forget(claim.number, context)
    if end.state == "complete":
        claims.ride_out(lambda: _collect(context))
    context.observe(claims.ride_out(lambda: summary(claim, end, context)))


def _collect(context: StudyContext) -> None:
    """Bound the checkpoints on disk as the study file says."""
    spec = context.spec
    retention.collect(
        context.store,
        spec.name,
        goal=spec.metric.goal,
        best=spec.keep.best,
        top=None if spec.finals is None else spec.finals.top,
        artifacts=context.artifacts,
    )


def _deadline(claims: Claims, context: StudyContext) -> float | None:
    """The monotonic time at which the time of the study is over, or None."""
    limit = context.spec.budget.time
    return time.monotonic() + limit - claims.seconds() if limit is not None else None


def summary(claim: Claim, end: TrialEnd, context: StudyContext) -> TrialEnded:
    rows = context.store.outcomes(context.spec.name)
    best = best_candidate(rows, goal=context.spec.metric.goal)
    failure = (end.failure_message or "").partition("\n")[0]
    return TrialEnded(
        number=claim.number,
        backbone=str(claim.params["backbone"]),
        state=end.state,
        score=end.score,
        best_epoch=end.best_epoch,
        epochs=len(end.epochs),
        seconds=end.seconds,
        failure=f"{end.failure_cause}: {failure}" if end.failure_cause else None,
        counts=context.store.counts(context.spec.name),
        best_score=best.score if best else None,
        best_trial=best.number if best else None,
        heat=claim.heat,
        metrics=end.candidate.metrics if end.candidate else {},
        folds=len(context.folds),
    )
