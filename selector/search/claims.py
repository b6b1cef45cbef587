"""Who runs which trial: taken, handed back, and repaired in one place, under one lock.

Optuna commits on its own, so a crash can leave its record and ours apart. Our row is the truth: it
is written before Optuna is told, and `reconcile`, which runs under the lock before every claim,
brings Optuna's record in line.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import optuna
import psutil
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from selector.records import (
    Heat,
    Origin,
    RunRow,
    Scalar,
    TrialEnd,
    TrialOutcome,
    TrialRow,
    TrialStart,
)
from selector.search import budget, foresight, retrying, samplers, space, startup
from selector.search.storage import reachable
from selector.spec import StudySpec
from selector.store import Store, study_lock

OWNER = "selector:owner"
ORIGIN = "selector:origin"
PLANNED = "selector:planned"
WAIT_SECONDS = 300.0
POLL_SECONDS = 1.0
HAND_BACK_SECONDS = 5.0  # on the way out nobody wants to wait; the next run repairs what is left
_OPTUNA_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this worker holds, with all its parameters and the epochs it may run."""

    trial: optuna.Trial
    params: Mapping[str, Scalar]
    origin: Origin
    epochs: int
    reported: int = 0  # epochs that an earlier worker reported before it handed the trial back
    heat: Heat | None = None  # of the finals: another seed than the study's, and perhaps a fold

    @property
    def number(self) -> int:
        """Optuna's number of the trial within its study."""
        return self.trial.number


class Claims:
    """The trials of one study, as one worker takes and ends them."""

    def __init__(
        self,
        store: Store,
        study: optuna.Study,
        spec: StudySpec,
        *,
        run_id: int,
        runs_of: str | None = None,  # the study whose runs take these trials, by default this one
    ) -> None:
        self._store = store
        self._study = study
        self._spec = spec
        self._run_id = run_id
        self._runs_of = runs_of or spec.name
        self._sampler = samplers.load(spec.sampler.name)
        earlier = store.outcomes(spec.name)
        self._forgiven = frozenset(t.number for t in earlier if t.state == "failed")

    def seconds(self) -> float:
        """Wall time of the study so far: of all its runs, overlaps counted once."""
        return _seconds_of_runs(self._store, self._spec.name, run_id=self._run_id)

    @property
    def untouched(self) -> bool:
        """Whether the study has neither trials nor a plan yet."""
        with reachable(self._store):
            planned = self._study.user_attrs.get(PLANNED)
            return not planned and not self._study.get_trials(deepcopy=False)

    def plan(self, *, order: Sequence[str] = ()) -> None:
        """Enqueue the planned first trials, once in the life of a study.

        `order` has all backbones, the most promising first.
        """
        with self._locked():
            if self._study.user_attrs.get(PLANNED):
                return
            # A crash half way through left some of them enqueued, in order.
            enqueued = len(self._study.get_trials(deepcopy=False))
            for planned in startup.plan(self._spec, order=order)[enqueued:]:
                self._study.enqueue_trial(dict(planned.params), user_attrs={ORIGIN: planned.origin})
            self._study.set_user_attr(PLANNED, True)

    def take(self) -> Claim | str:
        """The next trial, or the reason why there is none."""
        taken = self._take()
        return taken.reason if isinstance(taken, _Nothing) else taken

    def take_or_wait(self) -> Claim | str:
        """The next trial, or the reason why there will be none.

        While the budget is spoken for by trials of other processes on this host, it waits: should
        one of them die, its trial comes back and is taken here. Another host is not waited for,
        since nobody here would see it die.
        """
        while isinstance(taken := self._take(), _Nothing):
            if not taken.may_change:
                return taken.reason
            time.sleep(POLL_SECONDS)
        return taken

    def _take(self) -> Claim | _Nothing:
        with self._locked():
            rows = self._reconcile()
            retrying.hand_out(self._study, self._store, self._spec, rows)
            reason = self._stop_reason(rows)
            if reason is None:
                return self._claim(rows)
            others = owners(self._study)
            elsewhere = f". Still running elsewhere: {listed(others)}" if others else ""
            without = tuple(row for row in rows if row.state != "running")
            return _Nothing(
                reason + elsewhere,
                may_change=any(owner["host"] == socket.gethostname() for owner in others.values())
                and self._stop_reason(without) is None,
            )

    def _stop_reason(self, rows: Sequence[TrialOutcome]) -> str | None:
        return budget.stop_reason(
            self._spec.budget,
            rows,
            goal=self._spec.metric.goal,
            seconds=self.seconds() if self._spec.budget.time is not None else 0.0,
            limit=self._sampler.limit(self._spec, self._spec.sampler.options),
            forgiven=self._forgiven,
        )

    def foreseen(self, most: int) -> Sequence[Mapping[str, Scalar]]:
        """Parameters of at most `most` trials that are certain to be next if the budget lasts."""
        with reachable(self._store):
            rows = self._store.outcomes(self._spec.name)
            limit = self._sampler.limit(self._spec, self._spec.sampler.options)
            left = budget.trials_left(self._spec.budget, rows, limit=limit)
            return list(islice(foresight.foreseen(self._study, self._spec), min(most, left)))

    def end(self, claim: Claim, end: TrialEnd) -> None:
        """Record the end of a trial: our row first, in one transaction, then Optuna's."""
        # Under the lock, or another worker's `reconcile` could tell Optuna in between.
        with self._locked():
            self._store.finish_trial(self._spec.name, end)
            self._tell(claim.number, end.state, end.score)

    def hand_back(self, claim: Claim) -> None:
        """Return an unfinished trial, parameters and number kept, for the next worker."""
        with self._locked(wait_seconds=HAND_BACK_SECONDS):
            self._store.release_trial(self._spec.name, claim.number)
            self._set_waiting(claim.trial._trial_id)

    @contextmanager
    def _locked(self, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
        lock = study_lock(self._store, self._spec.name, wait_seconds=wait_seconds)
        with reachable(self._store), lock:
            yield

    def _build_sampler(self, number: int) -> BaseSampler:
        return self._sampler.build(
            self._spec,
            self._spec.sampler.options,
            seed=self._spec.seed,
            number=number,
            startup=startup.startup_trials(self._spec),
        )

    def _claim(self, rows: tuple[TrialOutcome, ...]) -> Claim:
        self._study.sampler = self._build_sampler(self._next_number())
        trial = self._study.ask()
        try:
            return self._own(trial, rows)
        except BaseException:
            # This process lives on, in a notebook say, so nobody would take the trial from it.
            self._store.release_trial(self._spec.name, trial.number)
            self._set_waiting(trial._trial_id)
            raise

    def _own(self, trial: optuna.Trial, rows: tuple[TrialOutcome, ...]) -> Claim:
        trial.set_user_attr(OWNER, {**_this_process(), "run": self._run_id})
        start = self._start(trial)
        self._store.start_trial(self._spec.name, self._run_id, start)
        # Nobody else writes to the trial as long as it is held. Steps count from 0.
        reports = self._study._storage.get_trial(trial._trial_id).intermediate_values
        return Claim(
            trial=trial,
            params=start.params,
            origin=start.origin,
            epochs=self._epochs(start, rows),
            reported=max(reports, default=-1) + 1,
            heat=start.heat,
        )

    def _start(self, trial: optuna.Trial) -> TrialStart:
        """Draw all that makes the trial."""
        params = space.suggest(trial, self._spec)
        known = self._study._storage.get_trial(trial._trial_id).user_attrs
        retry_of = known.get(retrying.RETRY_OF)
        return TrialStart(
            number=trial.number,
            backbone=str(params["backbone"]),
            params=params,
            origin=known.get(ORIGIN, "sampler" if retry_of is None else "retry"),
            seed=self._spec.seed,
            retry_of=retry_of,
        )

    def _epochs(self, start: TrialStart, rows: tuple[TrialOutcome, ...]) -> int:  # noqa: ARG002
        return budget.epochs_left(self._spec.budget, rows)

    def _next_number(self) -> int:
        trials = self._study.get_trials(deepcopy=False)
        waiting = [t.number for t in trials if t.state == TrialState.WAITING]
        return min(waiting, default=len(trials))

    def _reconcile(self) -> tuple[TrialOutcome, ...]:
        return reconcile(self._store, self._study, self._spec.name, runs_of=self._runs_of)

    def _set_waiting(self, trial_id: int) -> None:
        _set_waiting(self._study, trial_id)

    def _tell(self, number: int, state: str, score: float | None) -> None:
        _tell(self._study, number, state, score)


def reconcile(
    store: Store, study: optuna.Study, name: str, *, runs_of: str | None = None
) -> tuple[TrialOutcome, ...]:
    """Bring Optuna's record in line with ours; gives the trials as they are then.

    The caller holds the lock of the study. Its runs are those of `runs_of`, where it has none.
    """
    outcomes = store.outcomes(name)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if not running:
        return outcomes
    rows = {row.number: row for row in outcomes}
    over = {r.id: r.pid for r in store.runs(runs_of or name) if r.status != "running"}
    for trial in running:
        row = rows.get(trial.number)
        if row is not None and row.state in _OPTUNA_STATES:
            _tell(study, trial.number, row.state, row.score)
        elif not _owner_lives(trial, runs_over=over):
            store.release_trial(name, trial.number)
            _set_waiting(study, trial._trial_id)
    return store.outcomes(name)


def owners(study: optuna.Study) -> Mapping[int, Mapping[str, Any]]:
    """Who runs which trial."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return {trial.number: trial.user_attrs[OWNER] for trial in running}


def listed(owners: Mapping[int, Mapping[str, Any]]) -> str:
    """Which trials run, and where; empty without any."""
    return "; ".join(
        f"trial {number} on {owner['host']}, pid {owner['pid']}" for number, owner in owners.items()
    )


def _set_waiting(study: optuna.Study, trial_id: int) -> None:
    # Optuna has no public way back to WAITING; its storage allows it and keeps the number,
    # the parameters and the reports.
    study._storage.set_trial_state_values(trial_id, TrialState.WAITING)


def _tell(study: optuna.Study, number: int, state: str, score: float | None) -> None:
    value = score if state == "complete" else None
    study.tell(number, value, state=_OPTUNA_STATES[state], skip_if_finished=True)


@dataclass(frozen=True, slots=True)
class _Nothing:
    """There is no trial to take; `may_change` where a running one could still come back."""

    reason: str
    may_change: bool


def _seconds_of_runs(store: Store, study: str, *, run_id: int) -> float:
    """Wall time covered by a study's runs that are over and by those that go on here.

    Its finals are left out, for they come on top of the budget. A run of another host counts when
    it is over: nobody here knows whether it still lives.
    """
    now, host = dt.datetime.now(dt.UTC), socket.gethostname()
    finals = store.finals(study)
    in_finals = budget.covered_seconds(_spans(store.trials(finals.name))) if finals else 0.0
    in_all = budget.covered_seconds(
        (run.started_at.timestamp(), (run.ended_at or now).timestamp())
        for run in store.runs(study)
        if run.ended_at is not None or run.id == run_id or run.host == host
    )
    return in_all - in_finals


def _spans(rows: Iterable[RunRow | TrialRow]) -> Iterator[tuple[float, float]]:
    for row in rows:
        if row.started_at is not None and row.ended_at is not None:
            yield row.started_at.timestamp(), row.ended_at.timestamp()


def _this_process() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "created": process.create_time(),
    }


def _owner_lives(trial: FrozenTrial, *, runs_over: Mapping[int, int]) -> bool:
    """Whether the run that took the trial goes on; other hosts are taken at their word.

    `runs_over` has the runs that ended and the process that began each. A trial without owner was
    taken by a process that died between Optuna's commit and its next one: the lock is held here, so
    nobody is in between now.
    """
    owner = trial.user_attrs.get(OWNER)
    if owner is None:
        return False
    here = owner["host"] == socket.gethostname()
    began_by = runs_over.get(owner.get("run"))
    # A run that ended lost its trial on the way out, though its process may live on (a notebook).
    # A worker of it in a process of its own ends a little later, and holds its trial until then.
    if began_by is not None and (began_by == owner["pid"] or not here):
        return False
    if not here:
        return True
    try:
        alive = psutil.Process(int(owner["pid"])).create_time()
        return abs(alive - float(owner["created"])) < 1.0
    except psutil.NoSuchProcess:
        return False
