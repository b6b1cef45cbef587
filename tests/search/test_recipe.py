"""From a trial's parameters to its training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from selector.search.recipe import recipe_of, weights_of
from tests.search.conftest import ParseStudy


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("random", "random"),
        ("w/x.safetensors", "/study/w/x.safetensors"),
        ("file:w/x.safetensors", "/study/w/x.safetensors"),
        ("/elsewhere/x.pth", "/elsewhere/x.pth"),
    ],
)
def test_weights_of_one_backbone_replace_those_of_the_study(
    written: str, meant: str, study: ParseStudy
) -> None:
    spec = study(f'backbones: {{"timm:resnet18": {{weights: "{written}"}}}}\n')
    assert weights_of(spec, "timm:resnet18", base=Path("/study")) == meant
    assert weights_of(spec, "toy:cnn", base=Path("/study")) == "pretrained"


def test_every_trial_is_trained_with_the_seed_of_the_study(study: ParseStudy) -> None:
    spec = study("seed: 7\ntraining: {class_weights: balanced}\n")
    params = {
        "backbone": "toy:cnn",
        "lr": 1e-3,
        "freeze_depth": 2,
        "batch_size": 16,
        "image_size": 16,
    }
    recipe = recipe_of(params, spec, epochs=3, device=torch.device("cpu"))
    assert (recipe.seed, recipe.epochs, recipe.class_weights) == (7, 3, "balanced")
    assert recipe.precision == "fp32"
