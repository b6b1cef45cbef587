"""Whose the running trials are, who of them is gone, and what is set right then.

A trial whose workers die over it, one after the other, is not handed out for ever: where memory is
short the system kills a process without a word, and the next one would meet the same end.
"""

from __future__ import annotations

import datetime as dt
import math
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from selector import processes
from selector.events import Observer, TrialNote, nobody
from selector.records import EpochRecord, HeldTrial, ProcessName, TrialEnd, TrialOutcome
from selector.store import Store

OWNER = "selector:owner"
DEATHS = "selector:deaths"  # of workers that had the trial, since it last finished an epoch
MOST_DEATHS = 3
_OPTUNA_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def reconcile(
    store: Store,
    study: optuna.Study,
    name: str,
    *,
    runs_of: str | None = None,
    given_up: Collection[str] = (),
    patience_seconds: float = 0.0,
    after_outage: bool = False,
    observe: Observer = nobody,
) -> tuple[TrialOutcome, ...]:
    """Bring Optuna's record in line with ours; gives the trials as they are then.

    The caller holds the lock of the study, whose runs are those of `runs_of` where it has none of
    its own. `given_up` has tokens of leases that their owner will
    not use. In the first `patience_seconds` after the server was started, and `after_outage`, no
    lease is over: its owner had no way to renew it. A trial over which the last MOST_DEATHS workers
    died, with no epoch finished in between, fails with the cause `worker_killed`, and `observe`
    hears of it.
    """
    outcomes = store.outcomes(name)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if not running:
        return outcomes
    rows = {row.number: row for row in outcomes}
    leases = store.held_trials(name, after_restart_seconds=patience_seconds)
    held = {each.number: each for each in leases if each.token not in given_up}
    over = {r.id: r.pid for r in store.runs(runs_of or name) if r.status != "running"}
    for trial in running:
        row = rows.get(trial.number)
        if row is not None and row.state in _OPTUNA_STATES:
            tell(study, trial.number, row.state, row.score)
            continue
        # Without a row that runs, its worker died, or lost the database, while it took the trial:
        # the lock is held here, so nobody is in between now.
        lease = held.get(trial.number)
        lasts = lease is not None and (after_outage or not _is_over(lease))
        if lasts and _owner_lives(trial, runs_over=over):
            continue
        died = lease is not None and _owner_died(trial, runs_over=over)
        if died and lease is not None and _deaths(study, trial, lease) >= MOST_DEATHS:
            _fail(store, study, name, trial)
            observe(TrialNote(number=trial.number, text=f"failed, worker_killed: {_KILLED}"))
            continue
        store.release_trial(name, trial.number)
        set_waiting(study, trial._trial_id)
    return store.outcomes(name)


def release_trials_of(
    process: ProcessName, store: Store, study: optuna.Study, name: str
) -> tuple[int, ...]:
    """Hand out again what a process holds that is gone or cut off; the trials' numbers.

    The caller holds the lock of the study. Should the process live on all the same, it has lost its
    leases with this, and nothing that it writes counts.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    ended = {row.number for row in store.outcomes(name) if row.state in _OPTUNA_STATES}
    lost = [
        trial
        for trial in running
        if trial.number not in ended
        and OWNER in trial.user_attrs
        and processes.same(_process_of(trial.user_attrs[OWNER]), process)
    ]
    for trial in lost:
        store.release_trial(name, trial.number)
        set_waiting(study, trial._trial_id)
    return tuple(trial.number for trial in lost)


def owners(study: optuna.Study) -> Mapping[int, Mapping[str, Any]]:
    """Who runs which trial."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return {trial.number: trial.user_attrs[OWNER] for trial in running}


def listed(owners: Mapping[int, Mapping[str, Any]]) -> str:
    """Which trials run, and where; empty without any."""
    return "; ".join(
        f"trial {number} on {owner['host']}, pid {owner['pid']}" for number, owner in owners.items()
    )


def process_named(pid: int | None = None) -> dict[str, Any]:
    """What tells a process, by default this one, from every other, as a trial's owner has it."""
    return asdict(processes.named(pid))


def is_gone(process: Mapping[str, Any]) -> bool:
    """Whether a process, as from `process_named`, has ended on this host; never true of others."""
    here = process["host"] == socket.gethostname()
    return here and not processes.lives(_process_of(process))


def set_waiting(study: optuna.Study, trial_id: int) -> None:
    """Have Optuna hand a running trial out again."""
    # Optuna has no public way back to WAITING; its storage allows it and keeps the number,
    # the parameters and the reports.
    study._storage.set_trial_state_values(trial_id, TrialState.WAITING)


def tell(study: optuna.Study, number: int, state: str, score: float | None) -> None:
    """Tell Optuna how a running trial ended; harmless where it knows.

    As `Study.tell`, which reads the whole trial twice, does it: a pruned trial's value is the last
    that it reported.
    """
    storage = study._storage
    trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    value = score if state == "complete" else None
    if state == "pruned":
        reported = storage.get_trial(trial_id).intermediate_values
        value = reported[max(reported)] if reported else None
    values = [value] if value is not None and not math.isnan(value) else None
    with suppress(optuna.exceptions.UpdateFinishedTrialError):
        storage.set_trial_state_values(trial_id, _OPTUNA_STATES[state], values)


_KILLED = (
    f"{MOST_DEATHS} workers in a row died over it without finishing an epoch. The system kills "
    "processes when memory runs out: allow smaller batches or images, or fewer workers."
)


def _deaths(study: optuna.Study, trial: FrozenTrial, lease: HeldTrial) -> int:
    """How many workers have died over a trial since it last finished an epoch, the last included.

    Kept with the trial before it is handed out again, so a crash in between counts once.
    """
    known = trial.user_attrs.get(DEATHS, {})
    reported = len(trial.intermediate_values)
    count: int = known.get("count", 0) if known.get("epochs") == reported else 0
    if known.get("token") == lease.token:
        return count
    found = {"count": count + 1, "epochs": reported, "token": lease.token}
    study._storage.set_trial_user_attr(trial._trial_id, DEATHS, found)
    return count + 1


def _fail(store: Store, study: optuna.Study, name: str, trial: FrozenTrial) -> None:
    """End a trial that kills its workers; of its epochs the scores alone were reported."""
    row = next(row for row in store.trials(name) if row.number == trial.number)
    now = dt.datetime.now(dt.UTC)
    nothing = math.nan
    end = TrialEnd(
        number=trial.number,
        state="failed",
        epochs=tuple(
            EpochRecord(step + 1, nothing, nothing, score, nothing, nothing)
            for step, score in sorted(trial.intermediate_values.items())
        ),
        score=None,
        best_epoch=None,
        seconds=(now - (row.started_at or now)).total_seconds(),  # of the last attempt
        failure_cause="worker_killed",
        failure_message=f"{row.backbone}: {_KILLED}",
    )
    store.finish_trial(name, end)
    tell(study, trial.number, "failed", None)


def _is_over(lease: HeldTrial) -> bool:
    return lease.seconds_left is not None and lease.seconds_left <= 0


def _owner_lives(trial: FrozenTrial, *, runs_over: Mapping[int, int]) -> bool:
    """Whether, for all that can be seen here, the run that took the trial goes on.

    Of another host nothing can be seen: its lease must run out. `runs_over` has the runs that ended
    and the process that began each.
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
    return not is_gone(owner)


def _owner_died(trial: FrozenTrial, *, runs_over: Mapping[int, int]) -> bool:
    """Whether a trial without a living owner lost it by the end of its process, not of its run."""
    owner = trial.user_attrs.get(OWNER)
    if owner is None:
        return False
    if owner["host"] == socket.gethostname():
        return is_gone(owner)
    return owner.get("run") not in runs_over


def _process_of(owner: Mapping[str, Any]) -> ProcessName:
    return ProcessName(host=owner["host"], pid=int(owner["pid"]), created=float(owner["created"]))
