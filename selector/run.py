"""One run of a study, read from top to bottom: study file, audit, workers, leaderboard."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from selector import data, tasks
from selector.admission import admit
from selector.environment import describe, device_name
from selector.errors import InterruptedRun, NoCandidateError, UnavailableError
from selector.events import DataProgress, Event, Observer, RunEnded, RunReady
from selector.interrupts import Terminated, terminable
from selector.preflight import Prepared, load_prepared
from selector.records import Leaderboard, RunStart, RunStatus, StudyRow
from selector.reporting.ranking import rank
from selector.search import pruners, storage
from selector.search.claims import Claims
from selector.search.context import StudyContext, open_prefix_cache
from selector.search.funnel import backbone_order
from selector.search.worker import work
from selector.selection.best import best_candidate
from selector.settings import load_settings
from selector.spec import to_plain
from selector.store import Store, safe_url
from selector.training import prepare_process


def ignore(event: Event) -> None:
    """An observer that watches nothing."""


def run(
    study_file: str | Path,
    *,
    overrides: Sequence[str] = (),
    store: str | None = None,
    observe: Observer = ignore,
) -> Leaderboard:
    """Search, prune and rank as the study file says; the same call continues what is unfinished.

    `overrides` are `key=value` texts as for `--set`, `store` an SQLAlchemy URL (by default
    `SELECTOR_STORE`). Raises InputError before anything is created, ConflictError when the stored
    study means something else, UnavailableError for what this machine lacks, NoCandidateError when
    no trial completed, InterruptedRun when stopped from outside.
    """
    path = Path(study_file)
    prepared = load_prepared(path, overrides=overrides, observe=observe)
    spec = prepared.spec
    with Store.open(store or load_settings().store) as opened:
        study, prepared = admit(prepared, opened, observe=observe)
        reason = _search(study, prepared, opened, observe=observe, command=f"selector run {path}")
        board = rank(opened, spec.name, observe=observe)
    if not board.candidates and not board.trials.running:
        raise NoCandidateError(
            f"Study '{spec.name}' ended ({reason}) and no trial completed: "
            f"{board.trials.failed} failed, {board.trials.pruned} pruned. "
            f"See: selector show {spec.name}"
        )
    return board


def _search(
    study: StudyRow, prepared: Prepared, store: Store, *, observe: Observer, command: str
) -> str:
    """Run trials until the budget is spent; gives the reason why the study ended."""
    spec = prepared.spec
    prepare_process()
    started = time.monotonic()
    pruner = pruners.load(spec.pruner.name).build(spec, spec.pruner.options)
    context = _context(prepared, store, observe=observe)
    with (
        storage.opened_storage(store) as optuna_storage,
        _recorded(study, prepared, store, command=command) as run_id,
    ):
        optuna_study = storage.open_study(
            optuna_storage, store, spec.name, goal=spec.metric.goal, pruner=pruner
        )
        claims = Claims(store, optuna_study, spec, run_id=run_id)
        observe(_ready(prepared, store))
        claims.plan(order=backbone_order(claims, context))
        reason = work(claims, context)
    observe(RunEnded(reason=reason, seconds=time.monotonic() - started))
    return reason


def _context(prepared: Prepared, store: Store, *, observe: Observer) -> StudyContext:
    settings = load_settings()
    return StudyContext(
        spec=prepared.spec,
        store=store,
        task=tasks.load(prepared.spec.task),
        device=prepared.device,
        artifacts=settings.artifacts,
        base=prepared.base,
        decode=lambda preprocessing: data.decode(
            prepared.dataset,
            preprocessing,
            cache=settings.cache,
            progress=lambda done, total, label: observe(
                DataProgress(done=done, total=total, label=label)
            ),
        ),
        observe=observe,
        prefix_cache=open_prefix_cache(prepared.spec, settings, observe),
    )


@contextmanager
def _recorded(study: StudyRow, prepared: Prepared, store: Store, *, command: str) -> Iterator[int]:
    """A row for this run, ended with how it ended; interrupts become InterruptedRun."""
    run_id = store.begin_run(
        RunStart(
            study=study.name,
            command=command,
            spec=to_plain(prepared.spec),
            fingerprint=prepared.dataset.summary.fingerprint,
            environment=describe(prepared.device, base=prepared.base),
            host=socket.gethostname(),
            pid=os.getpid(),
        )
    )
    try:
        with terminable():
            yield run_id
    except KeyboardInterrupt as stop:
        _end_if_reachable(store, run_id, status="interrupted")
        code = 143 if isinstance(stop, Terminated) else 130
        raise InterruptedRun(
            f"Stopped. Nothing is lost; the same command continues study '{study.name}'.",
            exit_code=code,
        ) from None
    except BaseException:
        _end_if_reachable(store, run_id, status="failed")
        raise
    store.end_run(run_id, status="complete")


def _end_if_reachable(store: Store, run_id: int, *, status: RunStatus) -> None:
    """End a run that stops for another reason, which must not be hidden by a store that is gone.

    The next run of the study closes what was left open.
    """
    with suppress(UnavailableError):
        store.end_run(run_id, status=status)


def _ready(prepared: Prepared, store: Store) -> RunReady:
    spec, summary = prepared.spec, prepared.dataset.summary
    best = best_candidate(store.trials(spec.name), goal=spec.metric.goal)
    return RunReady(
        study=spec.name,
        store=safe_url(store.url),
        device=device_name(prepared.device),
        metric=spec.metric.name,
        goal=spec.metric.goal,
        epochs=spec.budget.epochs,
        trials=spec.budget.trials,
        earlier=store.counts(spec.name),
        best_score=best.score if best else None,
        counts=summary.counts,
        classes=len(summary.class_names),
        backbones=spec.backbone_names,
    )
