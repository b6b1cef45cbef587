"""Finals: the best candidates and the references are trained again, by the same worker loop.

They are an Optuna study of their own beside that of the search, whose trials are all planned: one
for each finalist, seed and fold. What is planned once stays, so an interrupted finals goes on where
it stopped, and a study that was extended trains no heat twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from selector import selection
from selector.data import Dataset
from selector.errors import ConflictError
from selector.events import FinalsEnded, FinalsReady
from selector.outcome import standings
from selector.records import Heat, Scalar, StudyRow, TrialOutcome, TrialRow, TrialStart
from selector.search.budget import FINISHED
from selector.search.claims import Claims
from selector.search.context import StudyContext
from selector.search.outages import waiting_for
from selector.search.storage import open_study, reachable
from selector.search.worker import work
from selector.selection import finals as statistics
from selector.spec import StudySpec, spec_sha256, to_plain
from selector.spec.schema import FINALS, BudgetSpec, FinalsSpec, KeepSpec, MemberSpec
from selector.store import Store, study_lock

HEAT = "selector:heat"
_HIGHEST = 10**10  # of trials and seeds; Optuna wants one range for all


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalsPlan:
    """Finals that can be worked on: who, how often, and in which study."""

    spec: StudySpec  # of the study that the heats are trials of
    finalists: tuple[int, ...]
    heats: tuple[Heat, ...]


def run_finals(
    context: StudyContext, storage: RDBStorage, *, folds: Sequence[Dataset], run_id: int
) -> None:
    """Plan, run and decide the finals of a study whose search is over.

    Nothing happens where the study file wants none, where one finalist would be alone, or where
    another process still searches: whoever ends last goes on here.
    """
    ride_out = waiting_for(context.store, observe=context.observe).ride_out
    plan = ride_out(lambda: plan_finals(context, storage, folds=folds))
    if plan is None:
        return
    work_on_finals(plan, context, storage, run_id=run_id)
    ride_out(lambda: decide_finals(plan, context))


def plan_finals(
    context: StudyContext, storage: RDBStorage, *, folds: Sequence[Dataset]
) -> FinalsPlan | None:
    """Choose the finalists and enqueue their heats, each once in the life of a study.

    None where there is nothing to decide yet or at all.
    """
    spec, store = context.spec, context.store
    chosen, heats = _wanted(spec, store)
    if not chosen:
        return None
    final_spec = _final_spec(spec)
    study = _open(final_spec, store, storage)
    with reachable(store), study_lock(store, final_spec.name):
        _register(final_spec, spec, store, folds=folds)
        planned = _planned(study, store, wanted=heats)
        missing = [heat for heat in heats if heat not in planned]
        if missing:
            store.reopen_finals(spec.name)
        for heat in missing:
            values = asdict(heat)
            study.enqueue_trial(values, user_attrs={HEAT: list(values.values())})
    return FinalsPlan(spec=final_spec, finalists=chosen, heats=heats)


def work_on_finals(
    plan: FinalsPlan, context: StudyContext, storage: RDBStorage, *, run_id: int
) -> None:
    """Run the heats that nobody has run yet."""
    store, name = context.store, context.spec.name
    assert context.spec.finals is not None
    ride_out = waiting_for(store, observe=context.observe).ride_out
    earlier = ride_out(lambda: store.counts(plan.spec.name))
    context.observe(
        FinalsReady(
            finalists=plan.finalists,
            seeds=context.spec.finals.seeds,
            folds=context.spec.finals.folds,
            runs=len(plan.heats),
            earlier=earlier,
        )
    )
    claims = FinalsClaims(
        store,
        ride_out(lambda: _open(plan.spec, store, storage)),
        plan.spec,
        run_id=run_id,
        runs_of=name,
        observe=context.observe,
    )
    searched = ride_out(lambda: store.trials(name))
    claims.searched = {trial.number: trial for trial in searched}
    work(claims, replace(context, spec=plan.spec))


def decide_finals(plan: FinalsPlan, context: StudyContext) -> None:
    """Store the pick and why, once every heat of the plan has ended."""
    store, name = context.store, context.spec.name
    ended = {run.heat for run in store.final_runs(plan.spec.name) if run.state in FINISHED}
    if not ended.issuperset(plan.heats):
        return
    trials = store.trials(name)
    found = standings(store, store.require_study(name), trials)
    assert found is not None
    candidates = {
        trial.number
        for trial in trials
        if trial.state == "complete" and trial.checkpoint is not None
    }
    pick, reason = statistics.choose(found, candidates)
    stored = store.finals(name)
    assert stored is not None
    if stored.decided_at is None or (stored.pick, stored.reason) != (pick, reason):
        store.decide_finals(name, pick=pick, reason=reason)
    context.observe(FinalsEnded(pick=pick, reason=reason))


def are_open(spec: StudySpec, store: Store) -> bool:
    """Whether a worker that comes now finds finals to run or to decide, as `run_finals` would.

    Heats that another process runs are its own, and so is what they leave to decide.
    """
    _, heats = _wanted(spec, store)
    if not heats:
        return False
    stored = store.finals(spec.name)
    if stored is None:
        return True
    lost = {each.number for each in store.held_trials(stored.name) if each.is_lost}
    runs = store.final_runs(stored.name)
    going = {run.heat for run in runs if run.state == "running" and run.number not in lost}
    ended = {run.heat for run in runs if run.state in FINISHED}
    if not (ended | going).issuperset(heats):
        return True
    return stored.decided_at is None and not going


class FinalsClaims(Claims):
    """The heats of the finals, as one worker takes and ends them."""

    searched: Mapping[int, TrialRow]  # the trials of the search, by number

    def foreseen(self, most: int) -> Sequence[Mapping[str, Scalar]]:  # noqa: ARG002
        """None: heats differ in their seed, so no two of them can share a pass."""
        return ()

    def _stop_reason(self, rows: Sequence[TrialOutcome]) -> str | None:  # noqa: ARG002
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return None if waiting else "finals"

    def _build_sampler(self, number: int) -> BaseSampler:  # noqa: ARG002 - all values are planned
        return RandomSampler(seed=0)

    def _start(self, trial: optuna.Trial) -> TrialStart:
        heat = Heat(*(trial.suggest_int(k, 0, _HIGHEST) for k in ("finalist", "seed", "fold")))
        searched = self.searched[heat.finalist]
        return TrialStart(
            number=trial.number,
            backbone=searched.backbone,
            params=searched.params,
            origin="finals",
            seed=heat.seed,
            heat=heat,
        )

    def _epochs(self, start: TrialStart, rows: tuple[TrialOutcome, ...]) -> int:  # noqa: ARG002
        """As many as its trial of the search was trained for; a pruned one gets all."""
        assert start.heat is not None
        searched = self.searched[start.heat.finalist]
        return searched.epochs if searched.state == "complete" else self._spec.budget.epochs


def refuse_other_folds(store: Store, spec: StudySpec) -> None:
    """Raise ConflictError where the finals of a study have begun with another number of folds."""
    stored = store.finals(spec.name) if store.study(spec.name) else None
    if stored is None or spec.finals is None:
        return
    begun, wanted = len(stored.fold_sizes), spec.finals.folds or 1
    if begun != wanted:
        was, now = (number if number > 1 else "none" for number in (begun, wanted))
        raise ConflictError(
            f"The finals of study '{spec.name}' have begun with finals.folds: {was}, now it is "
            f"{now}: their scores could not be compared. Undo the change, or start a new study: "
            "--set name=NEWNAME."
        )


def _wanted(spec: StudySpec, store: Store) -> tuple[tuple[int, ...], tuple[Heat, ...]]:
    """The finalists and all their heats; none where no finals can be held, or not yet."""
    if spec.finals is None or store.counts(spec.name).running:
        return (), ()
    chosen = _finalists(spec, spec.finals, store)
    if len(chosen) < 2:
        return (), ()
    folds = spec.finals.folds or 1
    return chosen, statistics.heats(chosen, seed=spec.seed, seeds=spec.finals.seeds, folds=folds)


def _finalists(spec: StudySpec, finals: FinalsSpec, store: Store) -> tuple[int, ...]:
    trials, stored = store.trials(spec.name), store.finals(spec.name)
    board = selection.build(
        store.require_study(spec.name),
        trials,
        predictions=store.predictions(spec.name),
        counts=store.counts(spec.name),
    )
    runs = store.final_runs(stored.name) if stored else ()
    earlier = dict.fromkeys(run.heat.finalist for run in runs)
    return statistics.finalists(board, trials, top=finals.top, earlier=earlier)


def _final_spec(spec: StudySpec) -> StudySpec:
    """The study file as it holds for the finals: outside the budget, and without pruning."""
    return spec.model_copy(
        update={
            "name": spec.name + FINALS,
            "budget": BudgetSpec(trials=10**9, epochs=spec.budget.epochs),
            "pruner": MemberSpec(name="none"),
            "keep": KeepSpec(),
        }
    )


def _planned(study: optuna.Study, store: Store, *, wanted: Sequence[Heat]) -> set[Heat]:
    """The heats that have been enqueued; those that wait and are not wanted are called off."""
    failed = {run.number for run in store.final_runs(study.study_name) if run.state == "failed"}
    planned = set()
    for trial in study.get_trials(deepcopy=False):
        heat = Heat(*trial.user_attrs[HEAT])
        if trial.state == TrialState.WAITING and heat not in wanted:
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        elif trial.state != TrialState.FAIL or trial.number in failed:
            planned.add(heat)
    return planned


def _open(final_spec: StudySpec, store: Store, storage: RDBStorage) -> optuna.Study:
    return open_study(
        storage,
        store,
        final_spec.name,
        goal=final_spec.metric.goal,
        pruner=optuna.pruners.NopPruner(),
    )


def _register(
    final_spec: StudySpec, spec: StudySpec, store: Store, *, folds: Sequence[Dataset]
) -> None:
    """The finals' own row in the store, made once; it holds the validation samples of all folds."""
    parent, stored = store.require_study(spec.name), store.finals(spec.name)
    if stored is not None:
        return
    sizes = [len(fold.splits.validation) for fold in folds] or [len(parent.data.validation_ids)]
    data = parent.data
    if folds:
        order = np.concatenate([fold.splits.validation for fold in folds])
        data = replace(
            data,
            validation_ids=tuple(folds[0].samples[index].id for index in order),
            validation_labels=folds[0].labels[order],
        )
    row = StudyRow(
        name=final_spec.name,
        metric=parent.metric,
        goal=parent.goal,
        spec=to_plain(final_spec),
        spec_sha256=spec_sha256(final_spec),
        data=data,
        created_at=dt.datetime.now(dt.UTC),
    )
    store.create_finals(spec.name, row, sizes)
