"""Pictures of the leader's errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from selector import backbones, tasks
from selector.cli import main
from selector.explain.errors import most_confident
from selector.explain.saliency import saliency
from selector.reporting.html.pictures import MANIFEST, folder_of, read_pictures
from selector.training import Network

STUDY = """
name: digits
data: {source: "builtin:digits", limit: 300}
metric: {name: f1_macro, goal: maximize}
search: {backbone: ["toy:cnn"], lr: {log_uniform: [1.0e-3, 1.0e-2]}, image_size: 16}
pruner: none
budget: {trials: 2, epochs: 1}
finals: off
"""


def network_of(name, size):
    backbone = backbones.load(name, weights="random", image_size=size, seed=0)
    head = tasks.load("image_classification").head(backbone.feature_dim, 3, seed=0)
    return Network(backbone, head, freeze_depth=0).eval()


# Maps, maps with the channels last, tokens with a class token.
@pytest.mark.parametrize(
    ("name", "size"),
    [("toy:cnn", 32), ("torchvision:swin_t", 64), ("timm:vit_tiny_patch16_224", 64)],
)
def test_saliency_has_a_value_for_every_pixel_of_every_architecture(name, size):
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    heat = saliency(network_of(name, size), images, [0, 2])
    assert heat.shape == (2, size, size)
    assert float(heat.min()) >= 0
    assert float(heat.max()) <= 1


def test_saliency_finds_what_decides():
    """A network that reads one corner only is seen to look there."""
    network = network_of("toy:cnn", 32)
    images = torch.zeros(1, 3, 32, 32)
    images[:, :, 2:10, 2:10] = 3.0
    with torch.no_grad():
        target = int(network(images).argmax())
    heat = saliency(network, images, [target])[0]
    assert float(heat[:16, :16].mean()) > float(heat[16:, 16:].mean())


def test_errors_come_with_the_surest_first():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.01, 0.99]])
    found = most_confident(np.log(probabilities).astype(np.float32), np.array([0, 0, 0, 1]))
    assert [(m.index, m.label, m.predicted) for m in found] == [(1, 0, 1), (2, 0, 1)]
    assert found[0].probability == pytest.approx(0.8)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished study, and the variables that name it."""
    folder = tmp_path_factory.mktemp("explained")
    (folder / "study.yaml").write_text(STUDY)
    variables = {
        "SELECTOR_STORE": f"sqlite:///{folder / 'selector.db'}",
        "SELECTOR_ARTIFACTS": str(folder / "artifacts"),
        "SELECTOR_CACHE": str(folder / "cache"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(["run", str(folder / "study.yaml"), "--quiet"])
        assert ended.value.code == 0
    return folder, variables


def test_a_report_draws_the_errors_once(finished, monkeypatch):
    folder, variables = finished
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(["report", "digits", "--format", "html", "--output", str(folder / "r.html")])
        assert ended.value.code == 0
    text = (folder / "r.html").read_text(encoding="utf-8")
    assert "Most confident errors" in text
    (manifest,) = (folder / "artifacts").rglob(MANIFEST)
    entries = json.loads(manifest.read_text())["errors"]
    assert len(entries) == 12
    probabilities = [entry["probability"] for entry in entries]
    assert probabilities == sorted(probabilities, reverse=True)
    number = int(manifest.parent.name.split("-")[1])
    pictures = read_pictures(folder / "artifacts", "digits", number)
    assert len(pictures) == 12
    assert manifest.parent == folder_of(folder / "artifacts", "digits", number)
    with Image.open(manifest.parent / entries[0]["saliency"]) as image:
        assert image.size == (192, 192)


def test_a_report_without_the_weights_says_what_is_missing(finished, monkeypatch, tmp_path):
    for name, value in finished[1].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "elsewhere"))
    with pytest.raises(SystemExit) as ended:
        main(["report", "digits", "--format", "html", "--output", str(tmp_path / "r.html")])
    assert ended.value.code == 0
    assert "No pictures: " in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_comparison_in_html_has_the_pictures(finished, monkeypatch, tmp_path):
    for name, value in finished[1].items():
        monkeypatch.setenv(name, value)
    output = tmp_path / "compared.html"
    arguments = ["compare", "digits:0", "digits:1", "--format", "html", "--output", str(output)]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    text = output.read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") > 0
    assert "Plotly" not in text
