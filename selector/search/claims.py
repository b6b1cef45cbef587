"""Who runs which trial: taken, handed back, and repaired in one place, under one lock.

Optuna commits on its own, so a crash can leave its record and ours apart. Our row is the truth. A
new trial is stored by Optuna first, which numbers it, and our row with the lease right after; its
end is our row first, and then Optuna is told. What a crash in between leaves is no trial of ours
yet, or an end that Optuna does not know: `reconcile`, which runs under the lock before every claim,
hands the one out again and tells the other. A running trial is its worker's as long as the lease in
that row lasts; whoever lost it cannot write to it any more.
"""

from __future__ import annotations

import datetime as dt
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from selector.errors import ConflictError, StoreSilentError, StudyStoppedError, TrialLostError
from selector.events import Observer, nobody
from selector.records import (
    Heat,
    Lease,
    Origin,
    ProcessName,
    RunRow,
    Scalar,
    TrialEnd,
    TrialOutcome,
    TrialRow,
    TrialStart,
)
from selector.search import budget, foresight, retrying, samplers, space, startup
from selector.search.heartbeat import RENEWALS, Heartbeat
from selector.search.outages import Outages
from selector.search.owners import (
    OWNER,
    listed,
    owners,
    process_named,
    reconcile,
    release_trials_of,
    set_waiting,
    tell,
)
from selector.search.reports import Reports
from selector.search.stopping import stop_of
from selector.search.storage import held_reads, reachable, write_draft
from selector.settings import Settings, load_settings
from selector.spec import StudySpec
from selector.store import Store, study_lock
from selector.store.engine import impatient
from selector.store.lock import Held

ORIGIN = "selector:origin"
PLANNED = "selector:planned"
WAIT_SECONDS = 300.0
POLL_SECONDS = 1.0
# Of a lease: time for every worker that lives to renew its own, when the store is back.
PATIENCE = 2 / RENEWALS
HAND_BACK_SECONDS = 3.0  # on the way out nobody wants to wait; the next run repairs what is left
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this worker holds, with all its parameters and the epochs it may run."""

    trial: optuna.Trial
    params: Mapping[str, Scalar]
    origin: Origin
    epochs: int
    heartbeat: Heartbeat
    reports: Reports
    reported: int = 0  # epochs that an earlier worker reported before it handed the trial back
    heat: Heat | None = None  # of the finals: another seed than the study's, and perhaps a fold

    @property
    def number(self) -> int:
        """Optuna's number of the trial within its study."""
        return self.trial.number


class Claims:
    """The trials of one study, as one worker takes and ends them.

    Every call rides out a store that is silent for a while; `observe` hears of it. `settings` say
    for how long, and how long a lease lasts; by default they are read from the environment.
    """

    def __init__(
        self,
        store: Store,
        study: optuna.Study,
        spec: StudySpec,
        *,
        run_id: int,
        runs_of: str | None = None,  # the study whose runs take these trials, by default this one
        observe: Observer = nobody,
        settings: Settings | None = None,
        waits: bool = True,  # for trials of other workers that may come back
    ) -> None:
        self._store = store
        self._study = study
        self._spec = spec
        self._run_id = run_id
        self._runs_of = runs_of or spec.name
        self._waits = waits
        self._sampler = samplers.load(spec.sampler.name)
        settings = settings or load_settings()
        self._lease_seconds = settings.lease_seconds
        self._outages = Outages(store, observe=observe, patience_seconds=settings.outage_seconds)
        self._observe = observe
        self._lock = Held()  # the study's, within `_locked`
        self._given_up: set[str] = set()  # tokens of leases that this worker took and cannot use
        earlier = self.ride_out(lambda: store.outcomes(spec.name))
        self._forgiven = frozenset(t.number for t in earlier if t.state == "failed")

    def seconds(self) -> float:
        """Wall time of the study so far: of all its runs, overlaps counted once."""
        return self.ride_out(self._seconds)

    def ride_out(self, action: Callable[[], Result]) -> Result:
        """What `action` gives, called again until the store answers."""
        return self._outages.ride_out(action)

    @property
    def untouched(self) -> bool:
        """Whether the study has neither trials nor a plan yet."""
        with reachable(self._store):
            planned = self._study.user_attrs.get(PLANNED)
            return not planned and not self._study.get_trials(deepcopy=False)

    def plan(
        self, *, order: Sequence[str] = (), reused: Sequence[Mapping[str, Scalar]] = ()
    ) -> None:
        """Enqueue the planned first trials, once in the life of a study.

        `order` has all backbones, the most promising first, `reused` parameters of earlier studies.
        """
        self.ride_out(lambda: self._plan(startup.plan(self._spec, order=order, reused=reused)))

    def _plan(self, planned: Sequence[startup.Planned]) -> None:
        with self._locked():
            if self._study.user_attrs.get(PLANNED):
                return
            # A crash half way through left some of them enqueued, in order.
            enqueued = len(self._study.get_trials(deepcopy=False))
            for each in planned[enqueued:]:
                self._study.enqueue_trial(dict(each.params), user_attrs={ORIGIN: each.origin})
            self._study.set_user_attr(PLANNED, True)

    def take(self) -> Claim | str:
        """The next trial, or the reason why there is none."""
        taken = self.ride_out(self._take)
        return taken.reason if isinstance(taken, _Nothing) else taken

    def take_or_wait(self) -> Claim | str:
        """The next trial, or the reason why there will be none.

        While the budget is spoken for by trials of other workers, it waits: should one of them die,
        its trial comes back and is taken here, at once on this host, else when its lease is over.
        """
        while isinstance(taken := self.ride_out(self._take), _Nothing):
            if not (taken.may_change and self._waits):
                return taken.reason
            time.sleep(POLL_SECONDS)
        return taken

    def stop(self) -> StudyStoppedError | None:
        """What this worker has to end with, where somebody has asked for the study to stop."""
        return stop_of(self._store, self._runs_of, run_id=self._run_id)

    def _take(self) -> Claim | _Nothing:
        with self._locked():
            if (stop := self.stop()) is not None:
                raise stop
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
                may_change=bool(others) and self._stop_reason(without) is None,
            )

    def _seconds(self) -> float:
        return seconds_of_runs(self._store, self._spec.name, run_id=self._run_id)

    def _stop_reason(self, rows: Sequence[TrialOutcome]) -> str | None:
        return budget.stop_reason(
            self._spec.budget,
            rows,
            goal=self._spec.metric.goal,
            seconds=self._seconds() if self._spec.budget.time is not None else 0.0,
            limit=self._sampler.limit(self._spec, self._spec.sampler.options),
            forgiven=self._forgiven,
        )

    def foreseen(self, most: int) -> Sequence[Mapping[str, Scalar]]:
        """Parameters of at most `most` trials that are certain to be next if the budget lasts.

        None while the store is silent: a trial that runs does not wait for what may come after it.
        """
        with suppress(StoreSilentError), reachable(self._store):
            rows = self._store.outcomes(self._spec.name)
            limit = self._sampler.limit(self._spec, self._spec.sampler.options)
            left = budget.trials_left(self._spec.budget, rows, limit=limit)
            return list(islice(foresight.foreseen(self._study, self._spec), min(most, left)))
        return ()

    def end(self, claim: Claim, end: TrialEnd) -> None:
        """Record the end of a trial: our row first, in one transaction, then Optuna's.

        Raises TrialLostError, and records nothing, where it is another worker's by now.
        """
        self.ride_out(lambda: self._end(claim, end))

    def _end(self, claim: Claim, end: TrialEnd) -> None:
        # Under the lock, or another worker's `reconcile` could tell Optuna in between.
        with self._locked():
            self._store.finish_trial(self._spec.name, end, lease=claim.heartbeat.lease)
            claim.reports.finish()
            tell(self._study, claim.number, end.state, end.score)

    def hand_back(self, claim: Claim) -> None:
        """Return an unfinished trial, parameters and number kept, for the next worker.

        It does not wait for a silent store: there the trial comes back when its lease is over, or
        once this process is gone.
        """
        with impatient(HAND_BACK_SECONDS), self._locked(wait_seconds=HAND_BACK_SECONDS):
            self._store.release_trial(self._spec.name, claim.number, lease=claim.heartbeat.lease)
            set_waiting(self._study, claim.trial._trial_id)

    def take_from(self, process: ProcessName) -> None:
        """Have what a process holds handed out again now: it is gone, or heard of no more.

        Without this its trials come back when their leases are over, as they do where the store is
        silent just now. Should it live on all the same, nothing that it writes counts.
        """
        with (
            suppress(StoreSilentError, ConflictError),
            self._locked(wait_seconds=HAND_BACK_SECONDS),
        ):
            release_trials_of(process, self._store, self._study, self._spec.name)

    @contextmanager
    def _locked(self, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
        lock = study_lock(self._store, self._spec.name, wait_seconds=wait_seconds)
        with reachable(self._store), lock as self._lock, held_reads(self._study):
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
        lease = Lease(token=uuid.uuid4().hex, seconds=self._lease_seconds)
        # Whether the row was written is not known where the database fails just then.
        self._given_up.add(lease.token)
        try:
            claim = self._own(trial, rows, lease)
        except BaseException:
            # This process lives on, in a notebook say, so nobody would take the trial from it.
            # Whoever lost the lock may have drafted a number that another has taken by now.
            with suppress(StoreSilentError, TrialLostError), reachable(self._store):
                self._store.release_trial(self._spec.name, trial.number, lease=lease)
                set_waiting(self._study, trial._trial_id)
            raise
        self._given_up.discard(lease.token)
        return claim

    def _own(self, trial: optuna.Trial, rows: tuple[TrialOutcome, ...], lease: Lease) -> Claim:
        trial.set_user_attr(OWNER, {**process_named(), "run": self._run_id})
        start = self._start(trial)
        # Proposing a trial takes a while. Whoever lost the lock meanwhile may propose what another
        # has taken, and writes nothing: the attempt counts as one on a store that is silent.
        self._lock.require()
        is_new = write_draft(trial)
        self._store.start_trial(self._spec.name, self._run_id, start, lease=lease)
        reported = 0 if is_new else self._reported(trial)
        heartbeat = Heartbeat(self._store, self._spec.name, trial.number, lease, stop=self.stop)
        return Claim(
            trial=trial,
            params=start.params,
            origin=start.origin,
            epochs=self._epochs(start, rows),
            heartbeat=heartbeat,
            reports=Reports(
                trial,
                self._store,
                heartbeat=heartbeat,
                outages=self._outages,
                reported=reported,
            ),
            reported=reported,
            heat=start.heat,
        )

    def _reported(self, trial: optuna.Trial) -> int:
        # Nobody else writes to the trial as long as it is held. Steps count from 0.
        earlier = self._study._storage.get_trial(trial._trial_id).intermediate_values
        return max(earlier, default=-1) + 1

    def _start(self, trial: optuna.Trial) -> TrialStart:
        """Draw all that makes the trial."""
        params = space.suggest(trial, self._spec)
        known = trial.user_attrs
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
        patience = PATIENCE * self._lease_seconds
        return reconcile(
            self._store,
            self._study,
            self._spec.name,
            runs_of=self._runs_of,
            given_up=self._given_up,
            patience_seconds=patience,
            after_outage=self._outages.seconds_since() < patience,
            observe=self._observe,
        )


@dataclass(frozen=True, slots=True)
class _Nothing:
    """There is no trial to take; `may_change` where a running one could still come back."""

    reason: str
    may_change: bool


def seconds_of_runs(store: Store, study: str, *, run_id: int | None = None) -> float:
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
