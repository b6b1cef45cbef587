"""One run of a study, read from top to bottom: study file, audit, workers, finals, leaderboard."""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import torch

from selector import executors
from selector.admission import admit, within_limits
from selector.announcing import announce_end, failure_of
from selector.crew import only_seat, place, seats_of
from selector.environment import describe
from selector.errors import (
    InterruptedRun,
    NoCandidateError,
    StudyStoppedError,
    UnavailableError,
)
from selector.events import Event, Observer, RunEnded, RunPaused, RunReady, SealBroken, StudyChanged
from selector.interrupts import Terminated, terminable
from selector.preflight import Prepared, final_folds, load_prepared
from selector.records import Leaderboard, RunStart, RunStatus, Seat, TrialRow
from selector.registration import ACCEPTED, WEIGHTS, Registered
from selector.reporting.failures import PAUSES, cause_lines
from selector.reporting.ranking import rank
from selector.search import history, pruners, storage, versions
from selector.search.budget import ended_by_failures
from selector.search.claims import Claims
from selector.search.context import StudyContext
from selector.search.finals import refuse_other_folds, run_finals
from selector.search.funnel import backbone_order
from selector.search.outages import Outages, open_store, waiting_for
from selector.search.stopping import stop_of
from selector.search.worker import work
from selector.selection.best import best_candidate
from selector.settings import load_settings
from selector.spec import to_plain
from selector.store import Store, safe_url
from selector.store.engine import impatient
from selector.training import prepare_process
from selector.working import (
    assignment_of,
    closing_team,
    context_of,
    finals_for,
    folder_of,
    prepare_stored,
    work_for,
)
from selector.writers import writing

LEAVING_SECONDS = 2.0  # for SQLite's lock, of a process that somebody wants to end


def ignore(event: Event) -> None:
    """An observer that watches nothing."""


def run(
    study_file: str | Path,
    *,
    overrides: Sequence[str] = (),
    store: str | None = None,
    observe: Observer = ignore,
    accept_drift: bool = False,
) -> Leaderboard:
    """Search, prune and rank as the study file says; the same call continues what is unfinished.

    `overrides` are `key=value` texts as for `--set`, `store` an SQLAlchemy URL (by default
    `SELECTOR_STORE`). Raises InputError before anything is created, ConflictError when the stored
    study means something else, UnavailableError for what this machine lacks, NoCandidateError when
    no trial completed, InterruptedRun when stopped from outside. A stop that was asked for before
    holds for earlier runs only.
    """
    path = Path(study_file)
    prepared = load_prepared(path, overrides=overrides, observe=observe)
    with open_store(store, observe=observe) as opened:
        command = as_typed("run", path, overrides)
        return run_prepared(
            prepared, opened, command=command, observe=observe, accept_drift=accept_drift
        )


def as_typed(verb: str, path: Path, overrides: Sequence[str]) -> str:
    """The command line that does the same again, for the record; its words as a shell reads them.

    Without what it was told to accept: that holds once.
    """
    sets = [word for override in overrides for word in ("--set", override)]
    return shlex.join(["selector", verb, str(path), *sets])


def run_prepared(
    prepared: Prepared,
    store: Store,
    *,
    command: str,
    observe: Observer = ignore,
    accept_drift: bool = False,
) -> Leaderboard:
    """`run` for a study that is checked already, in an open store; `command` is for the record."""
    spec = prepared.spec
    ride_out = waiting_for(store, observe=observe).ride_out
    ride_out(lambda: refuse_other_folds(store, spec))
    ride_out(lambda: history.check(store, spec))
    registered, prepared = admit(
        prepared, store, observe=observe, accept_drift=accept_drift, ride_out=ride_out
    )
    left = spec.budget.trials - ride_out(lambda: store.counts(spec.name)).finished
    seats = seats_of(prepared, trials_left=left, observe=observe)
    reason = _run(
        registered,
        prepared,
        store,
        seats=seats,
        observe=observe,
        command=command,
        lifts_stop=True,
    )
    board = ride_out(lambda: rank(store, spec.name, observe=observe))
    trials = () if board.candidates else ride_out(lambda: store.trials(spec.name))
    causes = cause_lines(trials)
    if not board.candidates and not board.trials.running:
        raise NoCandidateError(
            f"Study '{spec.name}' ended ({reason}) and no trial completed: "
            f"{board.trials.failed} failed{_retried(trials)}, {board.trials.pruned} pruned. "
            f"See: selector show {spec.name}",
            causes=causes,
        )
    return board


def join(
    name: str,
    *,
    folder: Path | None = None,
    images: Path | None = None,
    device: str | None = None,
    store: str | None = None,
    observe: Observer = ignore,
    waits: bool = True,
) -> None:
    """Take trials of a stored study in this process until its budget is spent.

    Others may take trials of it at the same time, from any machine that reaches the store. Relative
    paths of the study start at `folder`, by default where its latest run began; `images` replaces
    `data.path` and `device` the study's. Without `waits` it does not stay for trials that others
    run and could lose. Raises ConflictError where the images here are others, StudyStoppedError
    where the study is stopped, and what `run` raises.
    """
    with open_store(store, observe=observe) as opened:
        ride_out = waiting_for(opened, observe=observe).ride_out
        study = ride_out(lambda: opened.require_study(name))
        if (stop := ride_out(lambda: stop_of(opened, name))) is not None:
            raise stop
        base = folder.absolute() if folder else ride_out(lambda: folder_of(study, opened))
        prepared = prepare_stored(study, base=base, images=images, device=device, observe=observe)
        costs = ride_out(lambda: opened.costs(name))
        prepared = within_limits(prepared, costs, observe=observe)
        seats = (only_seat(prepared),)
        command = f"selector worker {name}"
        registered = Registered(study, weights={})
        _run(
            registered,
            prepared,
            opened,
            seats=seats,
            observe=observe,
            command=command,
            waits=waits,
        )


def _run(
    registered: Registered,
    prepared: Prepared,
    store: Store,
    *,
    seats: Sequence[Seat],
    observe: Observer,
    command: str,
    waits: bool = True,
    lifts_stop: bool = False,
) -> str:
    """Search until the budget is spent, then run the finals; gives why the search ended."""
    spec = prepared.spec
    # As many threads as a worker has: another number rounds otherwise, and workers and finals would
    # not find in the prefix cache what the funnel computed.
    prepare_process(seats[0].threads)
    started = time.monotonic()
    executor = executors.load(spec.executor.name, spec.executor.options)
    elsewhere = executors.elsewhere(spec.executor.name)
    pruner = pruners.load(spec.pruner.name).build(spec, spec.pruner.options)
    folds = final_folds(spec, prepared.dataset)
    outages = waiting_for(store, observe=observe)
    with (
        writing(
            spec.writers,
            registered.study,
            folder=load_settings().artifacts,
            base=prepared.base,
            observe=observe,
        ) as observe,
        storage.opened_storage(store, ride_out=outages.ride_out) as optuna_storage,
        _recorded(
            registered,
            prepared,
            store,
            command=command,
            observe=observe,
            outages=outages,
            lifts_stop=lifts_stop,
        ) as run_id,
    ):
        # Of several workers each is told its own seat; the finals run here, on the first one's.
        context = context_of(prepared, store, folds=folds, seat=seats[0], observe=observe)
        open_study = partial(
            storage.open_study,
            optuna_storage,
            store,
            versions.name_of(spec.name, registered.study.version),
            goal=spec.metric.goal,
            pruner=pruner,
        )
        optuna_study = outages.ride_out(open_study)
        claims = Claims(store, optuna_study, spec, run_id=run_id, observe=observe, waits=waits)
        for event in outages.ride_out(lambda: _at_first(registered, prepared, store, seats=seats)):
            observe(event)
        outages.ride_out(lambda: _plan(claims, context, prepared))
        # One worker on one device is this process, which starts at once and hears Ctrl-C itself.
        if len(seats) == 1 and not (elsewhere or seats[0].others):
            reason = work(claims, context)
        else:
            torch.cuda.empty_cache()  # the funnel's; it is the workers who need it now
            assignment = assignment_of(prepared, store, run_id=run_id)
            reason = executor.run(
                partial(work_for, assignment), seats, observe=observe, died=claims.take_from
            )[-1]
        if not ended_by_failures(reason):
            if elsewhere:  # the device is there too
                executor.run(partial(finals_for, assignment), seats[:1], observe=observe)
            else:
                with closing_team(context):
                    run_finals(context, optuna_storage, folds=folds, run_id=run_id)
    observe(RunEnded(reason=reason, seconds=time.monotonic() - started))
    announce_end(prepared, store, run_id=run_id, reason=reason, observe=observe)
    return reason


def _plan(claims: Claims, context: StudyContext, prepared: Prepared) -> None:
    """Plan the first trials, once in the life of a study, from all that is known before any."""
    history.remember_images(claims, context, prepared.dataset)
    order = backbone_order(claims, context)
    reused = [each.params for each in history.recipes(claims, context)]
    claims.plan(order=order, reused=reused)


@contextmanager
def _recorded(
    registered: Registered,
    prepared: Prepared,
    store: Store,
    *,
    command: str,
    observe: Observer,
    outages: Outages,
    lifts_stop: bool,
) -> Iterator[int]:
    """A row for this run, ended with how it ended; interrupts become InterruptedRun."""
    study = registered.study
    start = RunStart(
        study=study.name,
        command=command,
        spec=to_plain(prepared.spec),
        fingerprint=prepared.dataset.summary.fingerprint,
        environment={
            **describe(prepared.device, base=prepared.base),
            WEIGHTS: dict(registered.weights),
            ACCEPTED: list(registered.accepted),
        },
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    run_id = outages.ride_out(lambda: store.begin_run(start))
    if lifts_stop:
        outages.ride_out(lambda: store.lift_stop(study.name, before_run=run_id))
    try:
        with terminable():
            yield run_id
    except StudyStoppedError as stopped:
        _end_if_reachable(store, run_id, status="interrupted", error=stopped)
        raise
    except KeyboardInterrupt as stop:
        _end_if_reachable(store, run_id, status="interrupted")
        code = 143 if isinstance(stop, Terminated) else 130
        raise InterruptedRun(
            f"Stopped. Nothing is lost; the same command continues study '{study.name}'.",
            exit_code=code,
        ) from None
    except BaseException as error:
        _end_if_reachable(store, run_id, status="failed", error=error)
        failure = failure_of(error)
        if failure.cause in PAUSES:
            observe(RunPaused(study=study.name, cause=failure.cause, trial=failure.trial))
        announce_end(
            prepared, store, run_id=run_id, reason="an error", observe=observe, error=error
        )
        raise
    outages.ride_out(lambda: store.end_run(run_id, status="complete"))


def _end_if_reachable(
    store: Store, run_id: int, *, status: RunStatus, error: BaseException | None = None
) -> None:
    """End a run that stops for another reason, which must not be hidden by a store that is gone.

    The next run of the study closes what was left open.
    """
    with suppress(UnavailableError), impatient(LEAVING_SECONDS):
        failure = None if error is None else failure_of(error)
        store.end_run(run_id, status=status, failure=failure)


def _at_first(
    registered: Registered, prepared: Prepared, store: Store, *, seats: Sequence[Seat]
) -> tuple[Event, ...]:
    """What is said of a study before its first trial."""
    looks = _looks(store, prepared.spec.name)
    return (*_changes(registered), *looks, _ready(prepared, store, seats=seats))


def _retried(trials: Sequence[TrialRow]) -> str:
    """Failed trials that count no more, for they ran again: the causes below name them too."""
    again = sum(trial.retried for trial in trials)
    return f" ({again} more were retried since)" if again else ""


def _changes(registered: Registered) -> Iterator[Event]:
    if registered.accepted or registered.wider or registered.made_otherwise:
        yield StudyChanged(
            version=registered.study.version,
            wider=registered.wider,
            accepted=registered.accepted,
            made_otherwise=registered.made_otherwise,
        )


def _looks(store: Store, name: str) -> Iterator[Event]:
    told = [opening for opening in store.openings_of_data(name) if opening.scores]
    if told:
        yield SealBroken(opening=told[0])


def _ready(prepared: Prepared, store: Store, *, seats: Sequence[Seat]) -> RunReady:
    spec, summary = prepared.spec, prepared.dataset.summary
    best = best_candidate(store.trials(spec.name), goal=spec.metric.goal)
    return RunReady(
        study=spec.name,
        store=safe_url(store.url),
        device=place(seats, executor=spec.executor.name),
        metric=spec.metric.name,
        goal=spec.metric.goal,
        epochs=spec.budget.epochs,
        trials=spec.budget.trials,
        earlier=store.counts(spec.name),
        best_score=best.score if best else None,
        counts=summary.counts,
        classes=len(summary.class_names),
        backbones=spec.backbone_names,
        audit=summary.audit,
    )
