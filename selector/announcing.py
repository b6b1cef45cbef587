"""A run's end is announced: once, by the process whose run it is, after the store knows of it."""

from __future__ import annotations

from contextlib import suppress

from selector.errors import (
    ConflictError,
    InputError,
    InterruptedRun,
    SelectorError,
    UnavailableError,
    is_full,
    visible,
)
from selector.events import Observer
from selector.notices import notify
from selector.preflight import Prepared
from selector.records import BestTrial, Champion, Notice, RunCause, RunFailure, Scalar
from selector.search.budget import ended_by_failures
from selector.selection.best import best_candidate
from selector.store import Store
from selector.store.passwords import without_password

_LONGEST = 4000  # characters of a message that is kept


def announce_end(
    prepared: Prepared,
    store: Store,
    *,
    run_id: int,
    reason: str,
    observe: Observer,
    error: BaseException | None = None,
) -> None:
    """Tell whom the study file names that a run is over; nothing is raised when that fails.

    It is a failure where an error ended it, where trial after trial failed, or where no trial is
    complete. Call it when the run's row says that it ended: a process that dies in between tells
    nobody, and none tells anybody twice.
    """
    spec = prepared.spec
    if spec.notify is None:
        return
    counts = best = None
    with suppress(SelectorError):  # what ended the run may be a store or a study that is gone
        counts = store.counts(spec.name)
        best = best_candidate(store.trials(spec.name), goal=spec.metric.goal)
    failed = error is not None or ended_by_failures(reason) or best is None
    said = None if error is None else f"{type(error).__name__}: {error}"
    notice = Notice(
        kind="failure" if failed else "finish",
        study=spec.name,
        reason=without_password(reason, store.engine.url),
        metric=spec.metric.name,
        goal=spec.metric.goal,
        run=run_id,
        error=without_password(said, store.engine.url) if said else None,
        trials=counts,
        best=None
        if best is None
        else BestTrial(trial=best.number, backbone=best.backbone, score=best.score or 0.0),
    )
    notify(notice, spec.notify, base=prepared.base, observe=observe)


def failure_of(error: BaseException) -> RunFailure:
    """What goes on record of the error that ended a run."""
    cause: RunCause = "bug"
    match error:
        case _ if is_full(error):
            cause = "disk_full"
        case InputError():
            cause = "data"
        case ConflictError():
            cause = "conflict"
        case UnavailableError():
            cause = "unavailable"
        case InterruptedRun():
            cause = "stopped"
    ours = isinstance(error, SelectorError)
    return RunFailure(
        cause=cause,
        message=visible(str(error) if ours else f"{type(error).__name__}: {error}")[:_LONGEST],
        trial=error.trial if isinstance(error, SelectorError) else None,
        epoch=error.epoch if isinstance(error, SelectorError) else None,
    )


def announce_swap(
    prepared: Prepared,
    champion: Champion,
    before: Champion | None,
    *,
    reason: str,
    observe: Observer,
) -> None:
    """Tell whom the study file names that another champion is shipped from now on.

    Call it when the decision is on record; nothing is raised when telling fails.
    """
    spec = prepared.spec
    details: dict[str, Scalar] = {
        "champion": champion.bundle,
        "trial": champion.trial,
        "edition": champion.study,
    }
    if before is not None:
        details |= {"before": before.bundle}
    notice = Notice(
        kind="swap",
        study=champion.name,
        reason=reason,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        details=details,
    )
    notify(notice, spec.notify, base=prepared.base, observe=observe)
