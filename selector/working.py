"""How a process comes to take trials of a study that is in the store."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from selector import data, executors, tasks
from selector.environment import choose_device
from selector.errors import (
    ConflictError,
    InputError,
    ProblemsError,
    RankLostError,
    UnavailableError,
)
from selector.events import DataProgress, Observer, WorkerNote
from selector.interrupts import leave
from selector.preflight import Prepared, final_folds, prepare
from selector.ranks import Team
from selector.records import Assignment, DataSummary, Preprocessing, Seat, StudyRow, TrainingData
from selector.search import pruners, storage, versions
from selector.search.claims import Claims
from selector.search.context import StudyContext, open_prefix_cache
from selector.search.finals import run_finals
from selector.search.outages import open_store, waiting_for
from selector.search.worker import work
from selector.settings import load_settings
from selector.spec import StudySpec, from_plain
from selector.spec.limits import narrowed
from selector.spec.schema import MemberSpec
from selector.store import Store, safe_url
from selector.store.engine import sqlite_file
from selector.store.passwords import holds_password
from selector.training import prepare_process

DIED = 1  # the exit code of a worker that cannot go on, and is started again


def assignment_of(prepared: Prepared, store: Store, *, run_id: int) -> Assignment:
    """What another process has to know to take trials of a run of this study.

    On other machines a URL with a password is theirs to know: what is told them is seen by others.
    """
    secret = executors.elsewhere(prepared.spec.executor.name) and holds_password(store.url)
    return Assignment(
        study=prepared.spec.name,
        run_id=run_id,
        folder=str(prepared.base),
        host=socket.gethostname(),
        store=None if secret else store.url,
    )


def work_for(assignment: Assignment, seat: Seat, observe: Observer) -> str:
    """Take trials of a run that another process began; gives the reason why the study ended.

    Whoever began it has checked the study, planned its first trials and watches this process.
    """
    with _assigned(assignment, seat, observe) as (prepared, store, study):
        spec = prepared.spec
        pruner = pruners.load(spec.pruner.name).build(spec, spec.pruner.options)
        context = context_of(prepared, store, seat=seat, observe=observe)
        ride_out = waiting_for(store, observe=observe).ride_out
        with storage.opened_storage(store, ride_out=ride_out) as optuna_storage:
            open_study = partial(
                storage.open_study,
                optuna_storage,
                store,
                versions.name_of(spec.name, study.version),
                goal=spec.metric.goal,
                pruner=pruner,
            )
            optuna_study = ride_out(open_study)
            claims = Claims(store, optuna_study, spec, run_id=assignment.run_id, observe=observe)
            try:
                with closing_team(context):
                    return work(claims, context)
            except RankLostError as lost:
                # As if this one had been killed: whoever watches it starts it again.
                observe(WorkerNote(worker=seat.number, text=str(lost)))
                leave(DIED)


def finals_for(assignment: Assignment, seat: Seat, observe: Observer) -> None:
    """Run the finals of a study whose search is over, for a run that another process began."""
    with _assigned(assignment, seat, observe) as (prepared, store, _):
        folds = final_folds(prepared.spec, prepared.dataset)
        context = context_of(prepared, store, folds=folds, observe=observe)
        ride_out = waiting_for(store, observe=observe).ride_out
        with storage.opened_storage(store, ride_out=ride_out) as optuna_storage:
            run_finals(context, optuna_storage, folds=folds, run_id=assignment.run_id)


@contextmanager
def _assigned(
    assignment: Assignment, seat: Seat, observe: Observer
) -> Iterator[tuple[Prepared, Store, StudyRow]]:
    """The study of an assignment, ready to be worked on in this process, and its store."""
    device = choose_device(seat.device)
    prepare_process(seat.threads)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with open_store(assignment.store, observe=observe) as store:
        ride_out = waiting_for(store, observe=observe).ride_out
        ride_out(lambda: _require_run(assignment, store))
        study = ride_out(lambda: store.require_study(assignment.study))
        prepared = _as_stored(study, device, folder=Path(assignment.folder))
        spec = narrowed(prepared.spec, ride_out(lambda: store.costs(study.name)))
        yield replace(prepared, spec=spec), store, study


def _require_run(assignment: Assignment, store: Store) -> None:
    """Raise UnavailableError where the store of this machine is not the one that the run is in."""
    here = socket.gethostname()
    if sqlite_file(store.engine.url) is not None and here != assignment.host:
        raise UnavailableError(
            f"Store '{safe_url(store.url)}': SQLite is one machine's, and the run was begun on "
            f"'{assignment.host}', not on '{here}'. Workers on several machines need PostgreSQL."
        )
    known = store.study(assignment.study) is not None
    if not known or assignment.run_id not in {row.id for row in store.runs(assignment.study)}:
        raise UnavailableError(
            f"The store '{safe_url(store.url)}' does not have the run of study "
            f"'{assignment.study}' that this worker is for. Set SELECTOR_STORE to the run's store "
            "on every machine of the cluster, before its Ray is started there."
        )


def context_of(
    prepared: Prepared,
    store: Store,
    *,
    observe: Observer,
    folds: Sequence[data.Dataset] = (),
    seat: Seat | None = None,
) -> StudyContext:
    """What all trials of a worker in this process share; `folds` are those of the finals.

    On a `seat` with several devices trials are trained on all of them: use it within
    `closing_team`.
    """
    settings = load_settings()

    def decoder(
        dataset: data.Dataset, fold: int | None = None
    ) -> Callable[[Preprocessing], TrainingData]:
        def decode(preprocessing: Preprocessing) -> TrainingData:
            decoded = data.decode(
                dataset,
                preprocessing,
                cache=settings.cache,
                progress=lambda done, total, label: observe(
                    DataProgress(done=done, total=total, label=label)
                ),
            )
            return replace(decoded, fold=fold)

        return decode

    return StudyContext(
        spec=prepared.spec,
        store=store,
        task=tasks.load(prepared.spec.task),
        device=prepared.device,
        artifacts=settings.artifacts,
        base=prepared.base,
        # From here on nothing leads to the images of the test split.
        decode=decoder(data.without_test(prepared.dataset)),
        folds=tuple(decoder(fold, number) for number, fold in enumerate(folds)),
        observe=observe,
        prefix_cache=open_prefix_cache(prepared.spec, settings, observe),
        team=Team(prepared, seat) if seat is not None and seat.others else None,
    )


@contextmanager
def closing_team(context: StudyContext) -> Iterator[None]:
    """Leave no other process of a team behind."""
    try:
        yield
    finally:
        if context.team is not None:
            context.team.close()


def prepare_stored(
    study: StudyRow,
    *,
    base: Path,
    images: Path | None,
    device: str | None,
    observe: Observer,
) -> Prepared:
    """A stored study with every part checked on this machine, as `run` does for a study file.

    Its relative paths start at `base`.
    Raises ProblemsError with all that is missing here and how to name it, ConflictError where the
    images are others than the study's.
    """
    # This process is the worker, wherever the study's others are started.
    spec = from_plain(study.spec).model_copy(update={"executor": MemberSpec(name="local")})
    if device is not None:
        spec = spec.model_copy(update={"device": device})
    if images is not None:
        if spec.data.path is None:
            raise InputError(
                f"Study '{study.name}' reads {spec.data.source}, not files; leave --data out."
            )
        path = str(images.absolute())
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"path": path})})
    try:
        prepared = prepare(spec, base=base, observe=observe)
    except ProblemsError as error:
        where = (
            f"A worker of study '{study.name}' reads relative paths from '{base}' here. "
            "--folder names another folder, --data the images."
        )
        raise ProblemsError([*error.problems, where]) from None
    _refuse_other_data(study, prepared.dataset.summary, spec)
    return prepared


def folder_of(study: StudyRow, store: Store) -> Path:
    """Where the study's latest run read relative paths from; here, where none says so."""
    return next(iter(store.folders(study.name)), Path.cwd())


def _as_stored(study: StudyRow, device: torch.device, *, folder: Path) -> Prepared:
    """The study as it was checked by the run, its data read again: known files are not audited."""
    spec = from_plain(study.spec)
    dataset = data.inspect(spec.data, base=folder, cache=load_settings().cache)
    _refuse_other_data(study, dataset.summary, spec)
    return Prepared(spec, dataset, device, folder)


def _refuse_other_data(study: StudyRow, found: DataSummary, spec: StudySpec) -> None:
    if found.fingerprint != study.data.fingerprint:
        raise ConflictError(
            f"The images at '{spec.data.path or spec.data.source}' are not those of study "
            f"'{study.name}': their fingerprint is {found.fingerprint[:12]}, the study's is "
            f"{study.data.fingerprint[:12]}. Scores would not be comparable; bring the same images "
            "here, under the same names."
        )
