"""The trials that are planned before any score is known."""

from __future__ import annotations

from collections import Counter

import pytest

from selector.search import startup
from tests.search.conftest import ParseStudy

MINE = """
start_from:
  - {backbone: timm:resnet18, lr: 3.0e-3, freeze_depth: 4, batch_size: 16, label_smoothing: 0.1}
"""


def test_the_users_recipe_comes_first_then_one_recipe_a_backbone(study: ParseStudy) -> None:
    planned = startup.plan(study(MINE + "budget: {trials: 30}\n"))
    assert [p.origin for p in planned[:4]] == ["start_from", "recipe", "recipe", "recipe"]
    assert planned[0].params["lr"] == 3e-3
    assert {p.params["backbone"] for p in planned[1:4]} == {
        "toy:cnn",
        "timm:vit_tiny_patch16_224",
        "timm:resnet18",
    }
    assert {p.origin for p in planned[4:]} == {"startup"}


def test_quasi_random_draws_are_spread_evenly_over_the_backbones(study: ParseStudy) -> None:
    planned = startup.plan(study("budget: {trials: 60}\n"))
    counts = Counter(p.params["backbone"] for p in planned)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("trials", [1, 3, 8, 20, 100])
def test_the_plan_grows_with_the_budget_and_never_exceeds_it(
    trials: int, study: ParseStudy
) -> None:
    planned = startup.plan(study(f"budget: {{trials: {trials}}}\n"))
    assert len(planned) == min(trials, max(4, min(20, trials // 3)))


def test_a_transformers_recipe_has_a_smaller_learning_rate(study: ParseStudy) -> None:
    spec = study()
    assert startup.recipe(spec, "timm:vit_tiny_patch16_224")["lr"] == 1e-4
    assert startup.recipe(spec, "timm:resnet18")["lr"] == 1e-3


def test_a_recipe_is_moved_into_the_space(study: ParseStudy) -> None:
    spec = study(
        space="search: {backbone: toy:cnn, lr: {log_uniform: [1.0e-6, 1.0e-5]}, "
        "freeze_depth: [3, 5], batch_size: [8, 128]}\n"
    )
    recipe = startup.recipe(spec, "toy:cnn")
    assert (recipe["lr"], recipe["freeze_depth"], recipe["batch_size"]) == (1e-5, 3, 8)


@pytest.mark.parametrize("seed", range(4))
def test_every_backbone_is_drawn_from_both_halves_of_every_range(
    seed: int, study: ParseStudy
) -> None:
    planned = startup.plan(study(f"budget: {{trials: 60}}\nseed: {seed}\n"))
    draws = [p.params for p in planned if p.origin == "startup"]
    for backbone in ("toy:cnn", "timm:vit_tiny_patch16_224", "timm:resnet18"):
        own = [params for params in draws if params["backbone"] == backbone]
        for name, middle in (("lr", 3e-4), ("freeze_depth", 2.5), ("label_smoothing", 0.1)):
            values = [float(params[name]) for params in own]
            assert min(values) < middle < max(values), (backbone, name, values)


def test_the_plan_is_the_same_every_time(study: ParseStudy) -> None:
    assert startup.plan(study()) == startup.plan(study())


def test_samplers_that_cover_the_space_themselves_plan_only_the_users_recipes(
    study: ParseStudy,
) -> None:
    planned = startup.plan(study(MINE + "sampler: random\n"))
    assert [p.origin for p in planned] == ["start_from"]


def test_an_order_of_the_backbones_moves_trials_and_drops_none(study: ParseStudy) -> None:
    spec = study(MINE + "budget: {trials: 33}\n")
    order = ("timm:resnet18", "toy:cnn", "timm:vit_tiny_patch16_224")
    plain, ordered = startup.plan(spec), startup.plan(spec, order=order)
    assert [p.params["backbone"] for p in ordered[1:7]] == [*order, *order]
    assert ordered[0] == plain[0]
    assert len(ordered) == len(plain) == 11
    recipes = [p for p in ordered if p.origin == "recipe"]
    assert all(p in plain for p in recipes)
    # One draw more or less for a backbone is all that the order changes of the rest.
    assert sum(p in plain for p in ordered) >= len(plain) - 1
    assert startup.plan(spec, order=spec.backbone_names) == plain
