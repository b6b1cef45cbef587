"""Where a trial is judged, and against whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from selector.search import pruners
from selector.search.pruners.rungs import RungPruner
from tests.search.conftest import ParseStudy

EPOCHS = 6


def new_study(
    rungs: Mapping[int, int], *, direction: str = "maximize", storage: RDBStorage | None = None
) -> optuna.Study:
    """A study of trials of six epochs."""
    return optuna.create_study(
        study_name="rungs",
        direction=direction,
        pruner=RungPruner(rungs),
        storage=storage,
        load_if_exists=True,
    )


def run(study: optuna.Study, scores: Sequence[float], *, schedule: str | None = None) -> int:
    """The epochs that a trial with these scores runs."""
    if schedule is not None:
        study.enqueue_trial({"schedule": schedule})
    trial = study.ask()
    if schedule is not None:
        trial.suggest_categorical("schedule", ["cosine", "constant"])
    for step, score in enumerate(scores):
        trial.report(score, step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step + 1
    study.tell(trial, scores[-1])
    return len(scores)


def flat(score: float) -> list[float]:
    return [score] * EPOCHS


def test_a_trial_is_judged_at_rungs_only() -> None:
    study = new_study({3: 4})
    run(study, flat(0.9))
    assert run(study, flat(0.1)) == 3


def test_the_first_trial_and_every_better_one_run_to_the_end() -> None:
    study = new_study({1: 4, 3: 8})
    assert [run(study, flat(score)) for score in (0.1, 0.2, 0.3, 0.4)] == [EPOCHS] * 4


def test_equal_trials_are_not_told_apart_by_their_order() -> None:
    study = new_study({1: 4, 3: 8})
    assert [run(study, flat(0.5)) for _ in range(3)] == [EPOCHS] * 3


def test_one_in_four_of_all_trials_passes() -> None:
    study = new_study({1: 4})
    for score in (0.9, 0.1, 0.1, 0.1):
        run(study, flat(score))
    # There is one place for the fifth, and from the sixth on there are two.
    assert run(study, flat(0.85)) == 1
    assert run(study, flat(0.86)) == EPOCHS
    assert run(study, flat(0.85)) == 1


def test_trials_stopped_at_an_earlier_rung_count_as_worse_ones() -> None:
    study = new_study({1: 1, 3: 2})
    run(study, flat(0.9))
    assert run(study, flat(0.1)) == 3
    study.pruner = RungPruner({1: 4, 3: 2})
    assert run(study, flat(0.2)) == 1
    study.pruner = RungPruner({1: 1, 3: 2})
    # Two reached the third epoch before it, but it is the fourth trial, so two of them pass.
    assert run(study, flat(0.5)) == EPOCHS


def test_one_unlucky_epoch_does_not_stop_a_trial() -> None:
    study = new_study({3: 4})
    run(study, flat(0.5))
    assert run(study, [0.6, 0.6, 0.1, 0.6, 0.6, 0.6]) == EPOCHS


def test_a_loss_is_better_when_it_is_lower() -> None:
    study = new_study({1: 4}, direction="minimize")
    run(study, flat(0.5))
    assert run(study, flat(0.4)) == EPOCHS
    assert run(study, flat(0.6)) == 1


def test_a_failed_trial_does_not_raise_the_bar() -> None:
    study = new_study({1: 4})
    failed = study.ask()
    failed.report(0.99, 0)
    study.tell(failed, state=TrialState.FAIL)
    assert run(study, flat(0.5)) == EPOCHS


def test_a_trial_that_still_runs_is_a_rival() -> None:
    study = new_study({1: 4})
    rival = study.ask()
    rival.report(0.9, 0)
    assert run(study, flat(0.5)) == 1


def test_only_trials_with_the_same_schedule_are_compared() -> None:
    study = new_study({1: 4})
    run(study, flat(0.9), schedule="constant")
    assert run(study, flat(0.1), schedule="cosine") == EPOCHS
    assert run(study, flat(0.5), schedule="constant") == 1


def test_nobody_is_judged_while_scores_are_still_chance() -> None:
    study = new_study({1: 4, 4: 4})
    run(study, [0.1, 0.2, 0.6, 0.8, 0.9, 0.9])
    # The best one had a third of its score in its third epoch; the first rung lies there now.
    assert run(study, [0.05, 0.1, 0.7, 0.8, 0.9, 0.9]) == EPOCHS
    assert run(study, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1]) == EPOCHS
    study = new_study({1: 4, 4: 4})
    run(study, [0.1, 0.2, 0.6, 0.8, 0.9, 0.9])
    assert run(study, [0.05, 0.1, 0.5, 0.8, 0.9, 0.9]) == 3


def test_scores_below_zero_are_judged_at_the_first_rung() -> None:
    study = new_study({1: 4})
    run(study, flat(-0.1))
    assert run(study, flat(-0.2)) == 1


def test_a_study_that_was_interrupted_judges_as_if_it_had_not_been(tmp_path: Path) -> None:
    scores = [0.5, 0.4, 0.7, 0.6, 0.65]
    whole = new_study({1: 4, 3: 8})
    expected = [run(whole, flat(score)) for score in scores]
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    found = []
    for score in scores:
        storage = RDBStorage(url)
        found.append(run(new_study({1: 4, 3: 8}, storage=storage), flat(score)))
        storage.remove_session()
        storage.engine.dispose()
    assert found == expected
    assert 1 in expected and EPOCHS in expected


@pytest.mark.parametrize(
    ("epochs", "rungs"),
    [(2, {1: 4, 2: 8}), (5, {1: 4, 3: 8}), (10, {1: 4, 5: 8}), (30, {3: 4, 15: 8})],
)
def test_auto_looks_after_a_tenth_of_the_epochs_and_halfway(
    epochs: int, rungs: dict[int, int], study: ParseStudy
) -> None:
    pruner = pruners.load("auto").build(study(f"budget: {{epochs: {epochs}}}\n"), {})
    assert isinstance(pruner, RungPruner)
    assert pruner.rungs == rungs
