"""Warm start: the best recipes of earlier studies are among the first trials of a new one.

What is taken over is chosen once in a study's life, from what the store holds then, and stored
before the first trial: a study that is continued never chooses again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest

from selector import data
from selector.events import HistoryChosen
from selector.records import Reused, Scalar, StudyRow, TrialRow
from selector.search import samplers, space, startup
from selector.search.claims import Claims
from selector.search.context import StudyContext
from selector.selection.history import worth_another_try
from selector.selection.similarity import NEAR, MetaFeatures, distance, meta_features
from selector.spec import StudySpec
from selector.store import Store

MOST_STUDIES = 3  # that `auto` takes recipes from


def check(store: Store, spec: StudySpec) -> None:
    """Raise InputError where a new study names an earlier one that the store does not have."""
    if spec.history is None or spec.history.studies == "auto" or store.study(spec.name):
        return
    for name in spec.history.studies:
        store.require_study(name)


def remember_images(claims: Claims, context: StudyContext, dataset: data.Dataset) -> None:
    """Store what the study's images look like, so that later studies can tell how alike they are.

    Once, before the first trial.
    """
    name = context.spec.name
    if claims.untouched and context.store.history.statistics(name) is None:
        context.store.history.record_statistics(name, data.image_statistics(dataset))


def recipes(claims: Claims, context: StudyContext) -> tuple[Reused, ...]:
    """What the study takes over, in the order in which it is tried; chosen now or earlier."""
    spec, store = context.spec, context.store
    planned = samplers.load(spec.sampler.name).plans_startup
    if spec.history is None or not planned or not claims.untouched:
        return store.history.reused(spec.name)
    if not store.history.reused(spec.name):
        store.history.record_reused(spec.name, _chosen(store, spec))
    stored = store.history.reused(spec.name)
    studies = tuple(dict.fromkeys(each.study for each in stored))
    context.observe(HistoryChosen(recipes=len(stored), studies=studies))
    return stored


def _chosen(store: Store, spec: StudySpec) -> tuple[Reused, ...]:
    """The best of each study in turn, the most similar study first; no recipe twice."""
    assert spec.history is not None
    most = min(spec.history.recipes, max(1, spec.budget.trials // 3))
    each = [list(_of_study(store, spec, *source)) for source in _sources(store, spec)]
    in_turn = (reused for turn in zip_longest(*each) for reused in turn if reused is not None)
    return tuple(islice(_different(in_turn, spec), most))


def _different(found: Iterable[Reused], spec: StudySpec) -> Iterator[Reused]:
    """Those that are neither the same trial here as an earlier one nor the user's own."""
    seen = [space.to_optuna(spec, params) for params in spec.start_from]
    for reused in found:
        params = space.to_optuna(spec, reused.params)
        if params not in seen:
            seen.append(params)
            yield reused


def _sources(store: Store, spec: StudySpec) -> Sequence[tuple[StudyRow, float | None]]:
    """The studies to take from, each with how far its data is from that of `spec`."""
    assert spec.history is not None
    if spec.history.studies != "auto":
        rows = (store.study(name) for name in spec.history.studies)
        return [(row, None) for row in rows if row is not None]
    here = _features(store, store.require_study(spec.name))
    found: list[tuple[float, str, StudyRow]] = []
    for summary in store.studies():
        row = store.require_study(summary.name)
        if summary.name != spec.name and summary.counts.complete and _same_task(row, spec):
            found.append((distance(here, _features(store, row)), summary.name, row))
    near = sorted(each for each in found if each[0] <= NEAR)
    return [(row, away) for away, _, row in near[:MOST_STUDIES]]


def _same_task(row: StudyRow, spec: StudySpec) -> bool:
    return bool(row.spec.get("task", spec.task) == spec.task)


def _features(store: Store, row: StudyRow) -> MetaFeatures:
    return meta_features(row, store.history.statistics(row.name), store.proxies(row.name))


def _of_study(store: Store, spec: StudySpec, row: StudyRow, away: float | None) -> Iterator[Reused]:
    """What an earlier study has to offer, as far as this one has its backbones."""
    trials = store.trials(row.name)
    for trial in worth_another_try(trials, goal=row.goal, first=_trusted(store, row.name)):
        if trial.backbone in spec.backbone_names and trial.score is not None:
            yield Reused(
                study=row.name,
                trial=trial.number,
                score=trial.score,
                distance=away,
                params=_moved(trial, spec),
            )


def _trusted(store: Store, study: str) -> Sequence[int]:
    """The trials of a study that were shipped, the latest first, then the pick of its finals."""
    decisions = store.champions.decisions(store.champions.family_of(study))
    shipped = [d.champion.trial for d in reversed(decisions) if d.champion.study == study]
    finals = store.finals(study)
    picks = [finals.pick] if finals is not None and finals.pick is not None else []
    return list(chain(shipped, picks))


def _moved(trial: TrialRow, spec: StudySpec) -> Mapping[str, Scalar]:
    """The trial's parameters inside the search space of `spec`, each at the nearest value."""
    params = startup.recipe(spec, trial.backbone)
    for name, domain in spec.space_of(trial.backbone).items():
        if name in trial.params:
            params[name] = startup.nearest(domain, trial.params[name])
    return params
