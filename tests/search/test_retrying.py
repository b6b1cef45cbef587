"""Failed trials run again: the same parameters, a new number, no further budget."""

from __future__ import annotations

import optuna
import pytest

from selector.errors import InputError, UnknownNameError
from selector.records import TrialEnd
from selector.search.claims import Claim, Claims
from selector.search.retrying import RETRY_OF, retry
from selector.spec import StudySpec
from selector.store import Store
from tests.search.conftest import ParseStudy, begin_run, register_study
from tests.search.test_claims import open_claims, pruned, take


def failed(number: int, cause: str) -> TrialEnd:
    return TrialEnd(
        number=number,
        state="failed",
        epochs=(),
        score=None,
        best_epoch=None,
        seconds=0.1,
        failure_cause=cause,
        failure_message=f"{cause} happened",
    )


@pytest.fixture
def four(study: ParseStudy) -> StudySpec:
    return study("budget: {trials: 4}\n")


def spent(store: Store, spec: StudySpec) -> tuple[Claims, optuna.Study]:
    """A study whose budget is spent: trials 0 and 2 failed, 1 and 3 were pruned."""
    claims, study = open_claims(store, spec, register_study(store, spec))
    for cause in ("oom", "", "bug", ""):
        claim = take(claims)
        claims.end(claim, failed(claim.number, cause) if cause else pruned(claim.number))
    assert isinstance(claims.take(), str)
    return claims, study


def test_a_failed_trial_is_handed_out_again_and_costs_no_budget(
    store: Store, four: StudySpec
) -> None:
    claims, _ = spent(store, four)

    found = retry(store, four.name)

    again = [take(claims), take(claims)]
    for claim in again:
        claims.end(claim, pruned(claim.number))
    rows = store.trials(four.name)
    assert [trial.number for trial in found.marked] == [0, 2]
    assert [(claim.number, claim.origin) for claim in again] == [(4, "retry"), (5, "retry")]
    assert [claim.params for claim in again] == [rows[0].params, rows[2].params]
    assert [row.retry_of for row in rows] == [None] * 4 + [0, 2]
    assert [row.retried for row in rows] == [True, False, True, False, False, False]
    assert claims.take() == "4 trials"
    assert store.counts(four.name).finished == 4


def test_only_the_causes_that_are_named_run_again(store: Store, four: StudySpec) -> None:
    claims, _ = spent(store, four)

    found = retry(store, four.name, causes=["bug"])

    assert [trial.number for trial in found.marked] == [2]
    assert take(claims).params == store.trials(four.name)[2].params
    assert isinstance(claims.take(), str)
    with pytest.raises(UnknownNameError, match=r"Unknown cause 'ooom' .* Known: oom"):
        retry(store, four.name, causes=["ooom"])


def test_asking_twice_runs_them_once(store: Store, four: StudySpec) -> None:
    claims, study = spent(store, four)

    retry(store, four.name)
    assert retry(store, four.name).marked == ()

    assert isinstance(claims.take(), Claim) and isinstance(claims.take(), Claim)
    assert isinstance(claims.take(), str)
    assert len(study.get_trials(deepcopy=False)) == 6


def test_a_run_that_died_between_mark_and_optuna_loses_nothing(
    store: Store, four: StudySpec
) -> None:
    _, study = spent(store, four)
    retry(store, four.name)  # marks alone: Optuna hears of it with the next claim
    assert len(study.get_trials(deepcopy=False)) == 4

    later, _ = open_claims(store, four, begin_run(store, four))

    assert take(later).origin == "retry"


def test_a_retry_that_fails_can_be_retried(store: Store, four: StudySpec) -> None:
    claims, study = spent(store, four)
    retry(store, four.name, causes=["oom"])
    claims.end(take(claims), failed(4, "oom"))

    retry(store, four.name, causes=["oom"])

    claim = take(claims)
    claims.end(claim, pruned(claim.number))
    links = [trial.user_attrs.get(RETRY_OF) for trial in study.get_trials(deepcopy=False)]
    assert links == [None] * 4 + [0, 4]
    assert store.counts(four.name).failed == 1


def test_parameters_that_the_space_no_longer_has_are_left_alone(
    store: Store, four: StudySpec, study: ParseStudy
) -> None:
    spent(store, four)
    row = store.require_study(four.name)
    backbone = store.trials(four.name)[0].backbone
    others = [name for name in four.backbone_names if name != backbone]
    plain = {**row.spec, "search": {**row.spec["search"], "backbone": others}}

    import dataclasses

    store.update_study(dataclasses.replace(row, spec=plain))

    found = retry(store, four.name, causes=["oom"])

    assert found.marked == () and [trial.number for trial in found.outside] == [0]
    assert store.counts(four.name).failed == 2


def test_an_unknown_study_is_named(store: Store) -> None:
    with pytest.raises(InputError, match="Unknown study 'nobody'"):
        retry(store, "nobody")
