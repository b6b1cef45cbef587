"""Whose the running trials are, who of them is gone, and what is set right then."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Mapping
from typing import Any

import optuna
import psutil
from optuna.trial import FrozenTrial, TrialState

from selector.records import HeldTrial, TrialOutcome
from selector.store import Store

OWNER = "selector:owner"
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
) -> tuple[TrialOutcome, ...]:
    """Bring Optuna's record in line with ours; gives the trials as they are then.

    The caller holds the lock of the study, whose runs are those of `runs_of` where it has none of
    its own. `given_up` has tokens of leases that their owner will
    not use. In the first `patience_seconds` after the server was started, and `after_outage`, no
    lease is over: its owner had no way to renew it.
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
        if not (lasts and _owner_lives(trial, runs_over=over)):
            store.release_trial(name, trial.number)
            set_waiting(study, trial._trial_id)
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


def process_named(pid: int | None = None) -> dict[str, Any]:
    """What tells a process, by default this one, from every other: host, number and start."""
    pid = os.getpid() if pid is None else pid
    return {"host": socket.gethostname(), "pid": pid, "created": _seconds_after_boot(pid)}


def is_gone(process: Mapping[str, Any]) -> bool:
    """Whether a process, as from `process_named`, has ended on this host; never true of others."""
    if process["host"] != socket.gethostname():
        return False
    try:
        return abs(_seconds_after_boot(int(process["pid"])) - float(process["created"])) >= 1.0
    except psutil.NoSuchProcess:
        return True


def set_waiting(study: optuna.Study, trial_id: int) -> None:
    """Have Optuna hand a running trial out again."""
    # Optuna has no public way back to WAITING; its storage allows it and keeps the number,
    # the parameters and the reports.
    study._storage.set_trial_state_values(trial_id, TrialState.WAITING)


def tell(study: optuna.Study, number: int, state: str, score: float | None) -> None:
    """Tell Optuna how a trial ended; harmless where it knows."""
    value = score if state == "complete" else None
    study.tell(number, value, state=_OPTUNA_STATES[state], skip_if_finished=True)


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


def _seconds_after_boot(pid: int) -> float:
    # The wall clock may be set while a process runs; both of these move with it.
    return psutil.Process(pid).create_time() - psutil.boot_time()
