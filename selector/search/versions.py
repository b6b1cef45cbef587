"""A study whose search space grew: the next Optuna study, with all earlier trials in it.

Optuna forbids changed choices within a study, and takes a changed range in silence. So a wider
space is a new Optuna study, into which every trial is copied under its number, with the parameters
as the new space has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from selector.errors import ConflictError
from selector.records import Scalar, StudyRow
from selector.search import space, startup
from selector.search.claims import ORIGIN, PLANNED
from selector.search.owners import listed, owners, reconcile
from selector.search.storage import opened_storage
from selector.spec import StudySpec
from selector.spec.domains import Fixed
from selector.store import Store
from selector.store.names import name_of as name_of  # part of what this module offers

_FIXED = "fixed_params"  # where Optuna keeps the parameters of an enqueued trial


def begin_next(store: Store, stored: StudyRow, *, before: StudySpec, after: StudySpec) -> int:
    """Make the next version of a study's Optuna study, with all trials of the present one.

    `before` and `after` are the study as it was and as it is searched. Backbones that are new get
    their recipe enqueued. Gives the number of the version, which the caller stores; the caller
    holds the lock of the study. ConflictError while another process runs a trial: its result would
    reach the old version only.
    """
    present, following = (name_of(stored.name, stored.version + n) for n in (0, 1))
    with opened_storage(store) as storage:
        known = {summary.study_name for summary in optuna.get_all_study_summaries(storage)}
        if present not in known:
            return stored.version  # nothing has run yet, so nothing is bound to the old space
        old = optuna.load_study(study_name=present, storage=storage)
        reconcile(store, old, stored.name)
        if elsewhere := listed(owners(old)):
            raise ConflictError(
                f"Study '{stored.name}' gets a wider search space, but it runs elsewhere: "
                f"{elsewhere}. Stop that run first; nothing of it is lost."
            )
        if following in known:
            # A process died while it copied; nothing refers to the copy yet.
            optuna.delete_study(study_name=following, storage=storage)
        new = optuna.create_study(study_name=following, storage=storage, direction=stored.goal)
        _copy(old, new, store=store, name=stored.name, before=before, after=after)
        _enqueue_new_backbones(new, before, after)
    return stored.version + 1


def _copy(
    old: optuna.Study,
    new: optuna.Study,
    *,
    store: Store,
    name: str,
    before: StudySpec,
    after: StudySpec,
) -> None:
    taken = {row.number: row.params for row in store.trials(name)}
    for trial in old.get_trials(deepcopy=False):
        params = taken.get(trial.number) or _planned(trial, before)
        new.add_trial(_moved(trial, params, after))
    for key, value in old.user_attrs.items():
        new.set_user_attr(key, value)


def _planned(trial: FrozenTrial, spec: StudySpec) -> dict[str, Scalar]:
    """The parameters of a trial that nobody has taken yet, as far as they are known."""
    named: Mapping[str, Scalar] = {**trial.system_attrs.get(_FIXED, {}), **trial.params}
    backbone = str(named.get("backbone", spec.backbone_names[0]))
    found: dict[str, Scalar] = {"backbone": backbone} if "backbone" in named else {}
    for name, domain in spec.space_of(backbone).items():
        key = space.optuna_name(spec, backbone, name)
        if isinstance(domain, Fixed):
            found[name] = domain.value
        elif key in named:
            found[name] = named[key]
    return found


def _moved(trial: FrozenTrial, params: Mapping[str, Scalar], spec: StudySpec) -> FrozenTrial:
    """The trial with its parameters under the names and distributions of `spec`.

    Parameters that the space no longer has stay out, so that the sampler learns nothing from them.
    """
    known = not params or str(params.get("backbone", "")) in ("", *spec.backbone_names)
    named = space.to_optuna(spec, params) if known else {}
    distributions = space.distributions(spec)
    fitting = {
        key: value
        for key, value in named.items()
        if distributions[key]._contains(distributions[key].to_internal_repr(value))
    }
    waiting = trial.state == TrialState.WAITING
    system_attrs: dict[str, Any] = {k: v for k, v in trial.system_attrs.items() if k != _FIXED}
    if waiting and fitting:
        system_attrs[_FIXED] = fitting
    return create_trial(
        state=trial.state,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        params={} if waiting else fitting,
        distributions={} if waiting else {key: distributions[key] for key in fitting},
        user_attrs=trial.user_attrs,
        system_attrs=system_attrs,
        intermediate_values=trial.intermediate_values,
    )


def _enqueue_new_backbones(study: optuna.Study, before: StudySpec, after: StudySpec) -> None:
    """Each new backbone starts with its recipe, as all others did."""
    if not study.user_attrs.get(PLANNED):
        return  # the whole plan is still to be made
    for backbone in after.backbone_names:
        if backbone not in before.backbone_names:
            params = space.to_optuna(after, startup.recipe(after, backbone))
            study.enqueue_trial(params, user_attrs={ORIGIN: "recipe"})
