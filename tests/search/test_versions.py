"""A study whose search space grew, on each kind of database."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from selector.errors import ConflictError
from selector.records import StudyRow
from selector.search import pruners, storage, versions
from selector.search.claims import OWNER, Claims
from selector.spec import StudySpec, from_plain
from selector.store import Store, study_lock
from tests.search.conftest import ParseStudy, register_study
from tests.search.test_claims import open_claims, pruned, take

WIDER = """
search:
  backbone: ["toy:cnn", "timm:vit_tiny_patch16_224", "timm:resnet18", "timm:resnet34"]
  lr: {log_uniform: [1.0e-6, 1.0e-2]}
  freeze_depth: {int: [0, 5]}
  batch_size: [8, 16, 32]
  label_smoothing: {uniform: [0.0, 0.2]}
  momentum: [0.9, 0.8]
"""


def begin_next(store: Store, spec: StudySpec) -> int:
    with study_lock(store, spec.name):
        stored = store.require_study(spec.name)
        return versions.begin_next(store, stored, before=from_plain(stored.spec), after=spec)


def load(store: Store, spec: StudySpec, version: int) -> optuna.Study:
    return storage.open_study(
        storage.open_storage(store),
        store,
        versions.name_of(spec.name, version),
        goal=spec.metric.goal,
        pruner=pruners.load("none").build(spec, {}),
    )


@pytest.fixture
def spec(study: ParseStudy) -> StudySpec:
    return study("budget: {trials: 9}\n")


@pytest.fixture
def wider(study: ParseStudy) -> StudySpec:
    return study("budget: {trials: 9}\n", space=WIDER)


def test_every_trial_keeps_its_number_state_parameters_and_reports(store, spec, wider):
    claims, old = open_claims(store, spec, register_study(store, spec))
    for _ in range(3):
        claim = take(claims)
        claim.trial.report(0.25, 0)
        claims.end(claim, pruned(claim.number))
    handed_back = take(claims)
    claims.hand_back(handed_back)

    assert begin_next(store, wider) == 2

    new = load(store, wider, 2)
    before, after = old.get_trials(deepcopy=False), new.get_trials(deepcopy=False)
    assert [t.state for t in after[: len(before)]] == [t.state for t in before]
    for one, other in zip(before[:3], after, strict=False):
        assert other.params == {**one.params, "momentum": 0.9}
        assert other.intermediate_values == one.intermediate_values
    assert after[-1].state == TrialState.WAITING
    assert after[-1].system_attrs["fixed_params"]["backbone"] == "timm:resnet34"


def test_the_search_goes_on_in_the_wider_space(store, spec, wider):
    run_id = register_study(store, spec)
    claims, _ = open_claims(store, spec, run_id)
    first = take(claims)
    claims.end(first, pruned(first.number))
    version = begin_next(store, wider)
    later = Claims(store, load(store, wider, version), wider, run_id=run_id)
    seen = []
    while not isinstance(claim := later.take(), str):
        seen.append(claim)
        later.end(claim, pruned(claim.number))
    assert [claim.number for claim in seen] == list(range(1, 9))
    assert "timm:resnet34" in {claim.params["backbone"] for claim in seen}
    assert {claim.params["momentum"] for claim in seen} <= {0.8, 0.9}


def test_a_planned_trial_is_the_same_trial_in_the_next_version(store, spec, wider):
    run_id = register_study(store, spec)
    claims, _ = open_claims(store, spec, run_id)
    first = take(claims)
    claims.hand_back(first)
    later = Claims(store, load(store, wider, begin_next(store, wider)), wider, run_id=run_id)
    again = take(later)
    assert again.number == first.number
    assert again.params == {**first.params, "momentum": 0.9}
    assert again.origin == first.origin


def test_a_copy_that_was_cut_off_is_made_again(store, spec, wider):
    claims, _ = open_claims(store, spec, register_study(store, spec))
    first = take(claims)
    claims.end(first, pruned(first.number))
    begin_next(store, wider)  # its number was never stored, as after a crash
    assert begin_next(store, wider) == 2
    assert len(load(store, wider, 2).get_trials()) == 5


def test_a_trial_that_runs_elsewhere_is_waited_for(store, spec, wider):
    claims, study = open_claims(store, spec, register_study(store, spec))
    claim = take(claims)
    elsewhere = {"host": "another", "pid": 7, "created": 0.0, "run": None}
    claim.trial.set_user_attr(OWNER, elsewhere)
    with pytest.raises(ConflictError, match="trial 0 on another, pid 7"):
        begin_next(store, wider)
    names = [s.study_name for s in optuna.get_all_study_summaries(study._storage)]
    assert names == [spec.name]


def test_a_narrower_space_keeps_what_fits(store, spec, study):
    claims, _ = open_claims(store, spec, register_study(store, spec))
    for _ in range(3):
        claim = take(claims)
        claims.end(claim, pruned(claim.number))
    narrower = study(
        "budget: {trials: 9}\n",
        space='search: {backbone: ["toy:cnn"], lr: {log_uniform: [1.0e-5, 1.0e-4]}}\n',
    )
    new = load(store, narrower, begin_next(store, narrower))
    for trial in new.get_trials()[:3]:
        assert trial.state == TrialState.PRUNED
        assert "label_smoothing" not in trial.params
        assert trial.params.get("lr", 0) <= 1e-4


def test_a_study_that_never_ran_needs_no_next_version(store, spec, wider):
    register_study(store, spec)
    row: StudyRow = store.require_study(spec.name)
    assert from_plain(row.spec) == spec
    assert begin_next(store, wider) == 1
