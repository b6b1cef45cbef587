"""Networks in their own library's terms: names of tensors, and licences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from selector import backbones, tasks
from selector.consumer.runtimes.safetensors import Runtime
from selector.exporters.base import shipment_of
from selector.exporters.safetensors import SafetensorsExporter
from selector.predict import Predictor
from selector.training import Network

# The odd ones: positions for another size, two last layers, channels shuffled, names of others.
CASES = {
    "timm:test_vit": 64,
    "torchvision:shufflenet_v2_x0_5": 32,
    "timm:deit_tiny_distilled_patch16_224": 32,
    "timm:test_efficientnet": 32,
    "bundled:efficientnet_lite0": 32,
    "toy:cnn": 16,
}


@pytest.mark.parametrize("name", CASES)
def test_library_builds_the_same_network_from_the_exported_weights(
    name: str, tmp_path: Path
) -> None:
    task = tasks.load("image_classification")
    backbone = backbones.load(name, weights="random", image_size=CASES[name], seed=1)
    network = Network(backbone, task.head(backbone.feature_dim, 3, seed=0), freeze_depth=0).eval()
    cpu, classes = torch.device("cpu"), ("a", "b", "c")
    predictor = Predictor(network, backbone.preprocessing, classes, task, cpu, "fp32", {})
    shipment = shipment_of(predictor, backbone=name)
    exporter = SafetensorsExporter()

    extra = exporter.write(shipment, tmp_path / exporter.file)

    about = {
        "class_names": classes,
        "preprocessing": {"mean": backbone.preprocessing.mean, "std": backbone.preprocessing.std},
    }
    runtime = Runtime(tmp_path / exporter.file, {**about, **extra}, None)
    size = CASES[name]
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        runtime(pixels), predictor.log_probabilities(pixels), atol=2e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet18", *CASES])
def test_code_and_weights_have_terms_with_a_source(name: str) -> None:
    for weights in ("pretrained", "random", "my/weights.pth"):
        code, parameters = backbones.licences(name, weights=weights)
        assert code.part.endswith("(code)")
        assert name in parameters.part
        assert all(each.terms and each.source for each in (code, parameters))
    assert parameters.terms == "unknown: check before you ship"


def test_terms_that_timm_lists_are_those_of_the_weights() -> None:
    _, weights = backbones.licences("timm:resnet18", weights="pretrained")
    assert weights.terms == "apache-2.0"
    assert "timm/resnet18" in weights.source
