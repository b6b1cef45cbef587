"""What every format of bundle must hold."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selector import exporters
from selector.errors import InputError
from selector.predict import candidate_of, load_predictor, open_bundle
from selector.records import ExportedBundle
from selector.settings import load_settings
from selector.store import Store
from tests.exporters.conftest import Place

Bundles = Callable[[str], ExportedBundle]


@pytest.fixture(params=exporters.known())
def exported(request: pytest.FixtureRequest, bundle_of: Bundles) -> ExportedBundle:
    """A bundle of each format. Not to be changed."""
    return bundle_of(request.param)


@pytest.fixture
def copy(exported: ExportedBundle, tmp_path: Path) -> Path:
    """A copy of the bundle to damage."""
    return shutil.copytree(exported.path, tmp_path / "bundle")


def about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "bundle.json").read_text())


def test_bundle_passes_the_gate_exactly(exported: ExportedBundle) -> None:
    parity = exported.parity
    assert parity.passed
    assert parity.exact
    assert parity.images == 30
    assert parity.score_difference <= 1e-6
    assert parity.probability_difference <= 1e-5
    assert parity.latency_ms > 0
    assert json.loads((exported.path / "parity.json").read_text())["passed"] is True


def test_gate_imports_nothing_that_the_bundle_does_not_list(exported: ExportedBundle) -> None:
    loaded = set(exported.parity.packages)
    assert {"numpy", "PIL"} <= loaded
    match about(exported.path)["format"]:
        case "onnx":
            assert loaded == {"numpy", "PIL", "onnxruntime"}
        case "torch_export":
            assert not loaded & {"selector", "torchvision", "timm", "onnxruntime", "sklearn"}
        case "safetensors":
            # The toy network is this package's own; others need their library instead.
            assert "selector" in loaded


def test_every_file_is_listed_with_its_hash(exported: ExportedBundle) -> None:
    files = {p.name: p for p in exported.path.iterdir() if p.is_file() and p.name != "bundle.json"}
    listed = about(exported.path)["files"]
    assert set(listed) == set(files) >= {"MODEL_CARD.md", "parity.json", "predict.py", "runtime.py"}
    for name, path in files.items():
        assert listed[name] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.stat().st_mode & 0o044, f"{name} cannot be read by others"


def test_bundle_says_the_same_as_the_candidate(
    exported: ExportedBundle, toy: Place, tmp_path: Path
) -> None:
    paths = []
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 31, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{seed}.png")
        Image.fromarray(pixels).save(paths[-1])
    with Store.open(toy.store) as store:
        chosen = candidate_of(store, toy.study)
    candidate = load_predictor(
        load_settings().artifacts / str(chosen.checkpoint), device=torch.device("cpu")
    )

    wanted = list(candidate.predict(paths))

    bundle = open_bundle(exported.path)
    for given in (paths, paths[:1], paths[1:4]):  # batches of any size
        found = {p.path: p for p in bundle.predict(given)}
        for prediction in wanted:
            if prediction.path in found:
                assert found[prediction.path].label == prediction.label
                assert found[prediction.path].probabilities == pytest.approx(
                    prediction.probabilities, abs=1e-5
                )


def test_truncated_file_is_refused(copy: Path) -> None:
    file = copy / about(copy)["file"]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged or changed"):
        open_bundle(copy)


def test_file_of_another_bundle_is_refused(copy: Path) -> None:
    file = copy / about(copy)["file"]
    content = about(copy)
    content["files"][file.name] = "0" * 64
    (copy / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="sha256"):
        open_bundle(copy)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("class_names", lambda names: [names[1], names[0], *names[2:]]),
        ("preprocessing", lambda p: {**p, "mean": [0.4, 0.5, 0.5]}),
        ("preprocessing", lambda p: {**p, "interpolation": "nearest"}),
    ],
    ids=["swapped labels", "another mean", "another interpolation"],
)
def test_description_that_is_not_the_networks_own_is_refused(
    copy: Path, key: str, change: Callable[[Any], Any]
) -> None:
    content = about(copy)
    (copy / "bundle.json").write_text(json.dumps({**content, key: change(content[key])}))
    with pytest.raises(InputError, match=f"its {key} is not what"):
        open_bundle(copy)


def test_bundle_without_its_description_is_refused(copy: Path) -> None:
    (copy / "bundle.json").write_text("{}")
    with pytest.raises(InputError, match=r"bundle\.json"):
        open_bundle(copy)


def test_archive_of_torch_holds_nothing_pickled(bundle_of: Bundles, tmp_path: Path) -> None:
    from selector.consumer.runtimes.torch_export import Runtime

    file = bundle_of("torch_export").path / "network.pt2"
    with zipfile.ZipFile(file) as archive:
        pickled = [e.filename for e in archive.infolist() if e.filename.endswith(".pt")]
        assert all(archive.getinfo(name).file_size == 0 for name in pickled)
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "foreign.pt2")  # with its example inputs, pickled
    with pytest.raises(ValueError, match="pickled"):
        Runtime(tmp_path / "foreign.pt2", {}, None)
