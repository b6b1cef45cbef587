"""What every sampler must do, run on every member of the menu."""

from __future__ import annotations

import optuna
import pytest

from selector.errors import InputError, UnknownNameError
from selector.search import samplers, space
from selector.search.samplers.base import trial_seed
from selector.spec import StudySpec
from tests.search.conftest import ParseStudy

GRID = """
sampler: {name: grid, steps: {lr: 3, label_smoothing: 2}}
"""
WITH = {name: f"\nsampler: {name}\n" for name in samplers.NAMES} | {"grid": GRID}


def propose(spec: StudySpec, trials: int) -> list[dict[str, object]]:
    """The parameters of the first trials, scored by a function that likes high learning rates."""
    member = samplers.load(spec.sampler.name)
    member.check(spec, spec.sampler.options)
    study = optuna.create_study(direction="maximize")
    found = []
    for number in range(trials):
        study.sampler = member.build(
            spec, spec.sampler.options, seed=spec.seed, number=number, startup=3
        )
        trial = study.ask()
        found.append(space.suggest(trial, spec))
        study.tell(trial, float(found[-1]["lr"]))
    return found


@pytest.mark.parametrize("name", samplers.NAMES)
def test_same_seed_proposes_the_same_trials(name: str, study: ParseStudy) -> None:
    assert propose(study(WITH[name]), 8) == propose(study(WITH[name]), 8)


@pytest.mark.parametrize("name", samplers.NAMES)
def test_proposals_differ_from_each_other_and_stay_in_the_space(
    name: str, study: ParseStudy
) -> None:
    proposals = propose(study(WITH[name]), 8)
    assert len({tuple(sorted(p.items())) for p in proposals}) == 8
    for params in proposals:
        assert 1e-5 <= params["lr"] <= 1e-2  # type: ignore[operator]
        assert params["freeze_depth"] in range(6)


@pytest.mark.parametrize("name", samplers.NAMES)
def test_an_unknown_option_is_refused_by_name(name: str, study: ParseStudy) -> None:
    spec = study(f"\nsampler: {{name: {name}, speeed: 3}}\n")
    with pytest.raises(InputError, match=f"sampler '{name}' has no option 'speeed'"):
        samplers.load(name).check(spec, spec.sampler.options)


@pytest.mark.parametrize("name", sorted(set(samplers.NAMES) - {"grid", "qmc"}))
def test_another_seed_proposes_other_trials(name: str, study: ParseStudy) -> None:
    other = propose(study(WITH[name] + "seed: 1\n"), 4)
    assert other != propose(study(WITH[name]), 4)


def test_unknown_sampler_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown sampler 'tpee'.*'tpe'.*cmaes"):
        samplers.load("tpee")


def test_grid_visits_every_cell_once(study: ParseStudy) -> None:
    small = """
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-4, 1.0e-2]}
  freeze_depth: {int: [0, 1]}
  batch_size: [16, 32]
"""
    spec = study("\nsampler: {name: grid, steps: {lr: 3}}\n", space=small)
    assert samplers.load("grid").limit(spec, spec.sampler.options) == 12
    cells = {tuple(sorted(p.items())) for p in propose(spec, 12)}
    assert len(cells) == 12


def test_grid_without_steps_says_which_ranges_need_them(study: ParseStudy) -> None:
    spec = study("\nsampler: grid\n")
    with pytest.raises(InputError) as caught:
        samplers.load("grid").check(spec, spec.sampler.options)
    assert "'lr'" in str(caught.value) and "'label_smoothing'" in str(caught.value)


OWN_BATCH = "backbones: {toy:cnn: {search: {batch_size: [8, 64]}}}\n"


@pytest.mark.parametrize("name", ["grid", "gp", "cmaes"])
def test_what_models_all_parameters_at_once_refuses_those_of_one_backbone(
    name: str, study: ParseStudy
) -> None:
    spec = study(WITH[name] + OWN_BATCH)
    with pytest.raises(InputError, match=f"'{name}' cannot search .*batch_size"):
        samplers.load(name).check(spec, spec.sampler.options)


@pytest.mark.parametrize("name", ["tpe", "random", "qmc"])
def test_parameters_of_one_backbone_vary_from_trial_to_trial(name: str, study: ParseStudy) -> None:
    own_lr = "backbones: {toy:cnn: {search: {lr: {log_uniform: [1.0e-4, 1.0e-2]}}}}\n"
    proposals = propose(study(WITH[name] + own_lr), 12)
    own = [p["lr"] for p in proposals if p["backbone"] == "toy:cnn"]
    assert len(own) > 1 and len(set(own)) == len(own)


def test_cmaes_needs_numbers_to_search(study: ParseStudy) -> None:
    spec = study(
        "\nsampler: cmaes\n",
        space="search: {backbone: [toy:cnn, timm:resnet18], lr: 0.001, freeze_depth: 0}\n",
    )
    with pytest.raises(InputError, match="numeric"):
        samplers.load("cmaes").check(spec, spec.sampler.options)


def test_tpe_samples_all_parameters_of_a_conditional_space_jointly(study: ParseStudy) -> None:
    own = "backbones: {timm:resnet18: {search: {lr: {log_uniform: [1.0e-6, 1.0e-3]}}}}\n"
    sampler = samplers.load("tpe").build(study(own), {}, seed=0, number=0, startup=4)
    assert sampler._group and sampler._multivariate  # type: ignore[attr-defined]


def test_tpe_draws_what_optuna_draws_that_finds_the_space_itself(study: ParseStudy) -> None:
    spec = study(WITH["tpe"])
    ours = propose(spec, 12)
    again = optuna.create_study(direction="maximize")
    theirs = []
    for number in range(12):
        again.sampler = optuna.samplers.TPESampler(
            n_startup_trials=3,
            n_ei_candidates=24,
            multivariate=True,
            constant_liar=True,
            seed=trial_seed(spec.seed, number),
        )
        trial = again.ask()
        theirs.append(space.suggest(trial, spec))
        again.tell(trial, float(theirs[-1]["lr"]))
    assert ours == theirs


def test_tpe_reads_no_stored_trial_to_find_its_space(study: ParseStudy) -> None:
    spec = study(WITH["tpe"])
    sampler = samplers.load("tpe").build(spec, {}, seed=0, number=0, startup=3)
    empty = optuna.create_study()
    empty.ask(space.distributions(spec))
    assert set(sampler.infer_relative_search_space(empty, empty.trials[0])) == {
        *("backbone", "lr", "freeze_depth", "batch_size", "label_smoothing")
    }
