"""Failed trials run again: marked by the user, handed out by whoever takes the next trial.

Optuna never revives a failed trial. So its parameters are enqueued as a new one that names it, and
the failed one stops counting against the budget. The mark in our row comes first; `hand_out`, under
the lock of the study, makes the trials that marks still lack, so a crash in between loses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import optuna

from selector.errors import InputError, UnknownNameError
from selector.records import Scalar, TrialOutcome, TrialRow
from selector.search import space
from selector.search.storage import reachable
from selector.spec import StudySpec, from_plain
from selector.spec.domains import Fixed
from selector.spec.schema import FINALS
from selector.store import Store, study_lock

RETRY_OF = "selector:retry_of"


@dataclass(frozen=True, slots=True)
class Retries:
    """The failed trials that will run again, and those that the search space no longer has."""

    marked: tuple[TrialRow, ...]
    outside: tuple[TrialRow, ...]


def retry(store: Store, study: str, *, causes: Collection[str] = ()) -> Retries:
    """Have the failed trials of a study run again, or those that failed for one of `causes`.

    The next claim of any worker hands them out, the parameters kept, under new numbers. Raises
    InputError for an unknown study and UnknownNameError for a cause that no trial failed for.
    """
    store.require_study(study)  # or a name that is none would get a lock
    if study.endswith(FINALS):
        searched = study.removesuffix(FINALS)
        raise InputError(f"'{study}' are finals; trials of the search are: retry {searched}.")
    with reachable(store), study_lock(store, study):
        spec = from_plain(store.require_study(study).spec)
        failed = [t for t in store.trials(study) if t.state == "failed" and not t.retried]
        known = {trial.failure_cause or "" for trial in failed}
        for cause in causes:
            if failed and cause not in known:
                raise UnknownNameError("cause", cause, known, within=study)
        wanted = [t for t in failed if not causes or t.failure_cause in causes]
        marked = tuple(t for t in wanted if _fits(spec, t.params))
        if marked:
            store.retry_trials(study, [trial.number for trial in marked])
    return Retries(marked, tuple(t for t in wanted if t not in marked))


def hand_out(
    study: optuna.Study, store: Store, spec: StudySpec, rows: Sequence[TrialOutcome]
) -> None:
    """Enqueue a trial for each marked one that has none yet; the caller holds the study's lock."""
    marked = {row.number for row in rows if row.retried}
    if not marked:
        return
    there = {trial.user_attrs.get(RETRY_OF) for trial in study.get_trials(deepcopy=False)}
    if marked <= there:
        return
    for trial in store.trials(spec.name):
        if trial.number in marked - there and _fits(spec, trial.params):
            study.enqueue_trial(
                space.to_optuna(spec, trial.params), user_attrs={RETRY_OF: trial.number}
            )


def _fits(spec: StudySpec, params: Mapping[str, Scalar]) -> bool:
    """Whether the search space still has exactly these parameters."""
    backbone = str(params.get("backbone", ""))
    if backbone not in spec.backbone_names:
        return False
    domains = spec.space_of(backbone)
    fixed = all(params.get(k) == d.value for k, d in domains.items() if isinstance(d, Fixed))
    return fixed and domains.keys() <= params.keys() and _in_range(spec, params)


def _in_range(spec: StudySpec, params: Mapping[str, Scalar]) -> bool:
    known = space.distributions(spec)
    try:
        return all(
            known[key]._contains(known[key].to_internal_repr(value))
            for key, value in space.to_optuna(spec, params).items()
        )
    except ValueError:  # a choice that is gone has no internal representation
        return False
