"""The study file's space in Optuna's terms."""

from __future__ import annotations

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from selector.search import space
from tests.search.conftest import ParseStudy

OWN_LR = """
backbones:
  timm:vit_tiny_patch16_224: {search: {lr: {log_uniform: [1.0e-6, 1.0e-4]}}}
"""


def test_every_searched_parameter_has_a_distribution_and_fixed_ones_have_none(
    study: ParseStudy,
) -> None:
    found = space.distributions(study())
    assert found["lr"] == FloatDistribution(1e-5, 1e-2, log=True)
    assert found["freeze_depth"] == IntDistribution(0, 5)
    assert found["batch_size"] == CategoricalDistribution([16, 32])
    assert "optimizer" not in found


def test_a_parameter_of_one_backbone_gets_a_name_of_its_own(study: ParseStudy) -> None:
    spec = study(OWN_LR)
    found = space.distributions(spec)
    assert found["timm:vit_tiny_patch16_224.lr"].high == 1e-4
    assert found["lr"].high == 1e-2


def test_suggested_parameters_are_complete_and_inside_their_domains(study: ParseStudy) -> None:
    spec = study(OWN_LR)
    optuna_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        params = space.suggest(optuna_study.ask(), spec)
        assert params["optimizer"] == "adamw"
        assert params["batch_size"] in (16, 32)
        highest = 1e-4 if params["backbone"] == "timm:vit_tiny_patch16_224" else 1e-2
        assert params["lr"] <= highest
        assert {"image_size", "schedule", "augment"} <= params.keys()


def test_enqueued_parameters_come_back_as_they_were(study: ParseStudy) -> None:
    spec = study(OWN_LR)
    wanted = {"backbone": "timm:vit_tiny_patch16_224", "lr": 5e-5, "freeze_depth": 2}
    optuna_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    optuna_study.enqueue_trial(space.to_optuna(spec, wanted))
    params = space.suggest(optuna_study.ask(), spec)
    assert {name: params[name] for name in wanted} == wanted


def test_shared_parameters_can_be_enqueued_without_a_backbone(study: ParseStudy) -> None:
    named = space.to_optuna(study(OWN_LR), {"freeze_depth": 3, "lr": 1e-4})
    assert named == {"freeze_depth": 3}
