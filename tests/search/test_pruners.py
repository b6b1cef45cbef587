"""What every pruner must do, run on every member of the menu."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from selector.errors import InputError, UnknownNameError
from selector.search import pruners
from tests.search.conftest import ParseStudy

RULES = sorted(set(pruners.NAMES) - {"none", "wilcoxon"})


def stopped_epochs(
    pruner: optuna.pruners.BasePruner, scores: list[float], *, trials: int = 6
) -> list[int | None]:
    """The epochs after which trials with these scores stop, thirty good trials before them."""
    study = optuna.create_study(study_name="rule", direction="maximize", pruner=pruner)
    for _ in range(30):
        _run(study, [0.9] * 10, to_the_end=True)
    return [_run(study, scores) for _ in range(trials)]


def _run(study: optuna.Study, scores: list[float], *, to_the_end: bool = False) -> int | None:
    trial = study.ask()
    for step, score in enumerate(scores):
        trial.report(score, step)
        if trial.should_prune() and not to_the_end:
            study.tell(trial, state=TrialState.PRUNED)
            return step + 1
    study.tell(trial, scores[-1])
    return None


@pytest.mark.parametrize("name", RULES)
def test_a_trial_that_stays_behind_is_stopped_early(name: str, study: ParseStudy) -> None:
    # Hyperband puts some trials into a bracket that lets everybody run to the end.
    epochs = stopped_epochs(pruners.load(name).build(study(), {}), [0.1] * 10)
    assert any(epoch is not None and epoch < 10 for epoch in epochs)


@pytest.mark.parametrize("name", RULES)
def test_a_trial_that_leads_is_never_stopped(name: str, study: ParseStudy) -> None:
    epochs = stopped_epochs(pruners.load(name).build(study(), {}), [0.95] * 10)
    assert set(epochs) == {None}


@pytest.mark.parametrize("name", sorted(set(pruners.NAMES) - {"wilcoxon"}))
def test_an_unknown_option_is_refused_by_name(name: str, study: ParseStudy) -> None:
    with pytest.raises(InputError, match=f"pruner '{name}' has no option 'patienc'"):
        pruners.load(name).build(study(), {"patienc": 3})


FIRST_JUDGED = {
    "auto": ("budget: {epochs: 30}", {}, 3),  # a tenth of the epochs
    "median": ("", {"warmup_epochs": 3}, 4),
    "percentile": ("", {"warmup_epochs": 3}, 4),
    "successive_halving": ("", {"min_epochs": 3}, 3),
    "hyperband": ("", {"min_epochs": 3}, 3),
}


@pytest.mark.parametrize("name", RULES)
def test_the_first_look_is_after_the_epoch_that_was_asked_for(name: str, study: ParseStudy) -> None:
    extra, options, wanted = FIRST_JUDGED[name]
    pruner = pruners.load(name).build(study(extra), options)
    epochs = stopped_epochs(pruner, [0.1] * 10, trials=12)
    assert min(epoch for epoch in epochs if epoch is not None) == wanted


@pytest.mark.parametrize("name", ["successive_halving", "hyperband"])
@pytest.mark.parametrize("factor", [2, 4])
def test_rungs_are_a_factor_apart(name: str, factor: int, study: ParseStudy) -> None:
    options = {"min_epochs": 2, "reduction_factor": factor}
    pruner = pruners.load(name).build(study("budget: {epochs: 32}"), options)
    # Ahead of the thirty until shortly after the first rung.
    epochs = stopped_epochs(pruner, [0.95] * 3 + [0.1] * 27, trials=12)
    assert 2 * factor in epochs
    assert all(epoch in (2 * factor, 2 * factor**2, 2 * factor**3, None) for epoch in epochs)


def test_samplers_see_the_brackets_of_hyperband(study: ParseStudy) -> None:
    pruner = pruners.load("hyperband").build(study(), {})
    assert isinstance(pruner, optuna.pruners.HyperbandPruner)


def test_no_pruner_never_stops_a_trial(study: ParseStudy) -> None:
    assert set(stopped_epochs(pruners.load("none").build(study(), {}), [0.0] * 10)) == {None}


def test_wilcoxon_needs_folds(study: ParseStudy) -> None:
    with pytest.raises(InputError, match="fold"):
        pruners.load("wilcoxon").build(study(), {})


def test_hyperband_cannot_start_after_the_last_epoch(study: ParseStudy) -> None:
    with pytest.raises(InputError, match="min_epochs is 50"):
        pruners.load("hyperband").build(study(), {"min_epochs": 50})


def test_a_wrong_option_names_its_value(study: ParseStudy) -> None:
    with pytest.raises(InputError, match=r"'percentile' is 250"):
        pruners.load("percentile").build(study(), {"percentile": 250})


def test_unknown_pruner_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'hyperband'"):
        pruners.load("hyperbend")
