"""What the parity gate lets through, and what it does not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from selector import metrics
from selector.errors import ParityError
from selector.exporters import gate
from selector.records import ExportedBundle, Floats, ParityReport
from tests.exporters.conftest import Place

N = 1000


def predictions(seed: int = 0) -> Floats:
    logits = np.random.default_rng(seed).normal(0, 2, (N, 3))
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


def reference(*, exact: bool, images: np.ndarray | None = None) -> gate.Reference:
    stored = predictions()
    labels = np.random.default_rng(1).integers(0, 3, N)
    return gate.Reference(
        images=np.zeros((N, 1, 1, 3), np.uint8) if images is None else images,
        labels=labels,
        class_names=("a", "b", "c"),
        log_probabilities=stored,
        metric="accuracy",
        positive=None,
        score=metrics.compute("accuracy", labels, stored),
        exact=exact,
    )


def verdict(found: Floats, *, exact: bool) -> ParityReport:
    known = reference(exact=exact)
    score = metrics.compute("accuracy", known.labels, found)
    return gate._verdict(
        known, found, score, labels=(), latency_ms=1.0, threads=1, file_bytes=1, packages=()
    )


def flipped(count: int, *, margin: float = 0.001) -> Floats:
    """Predictions of which `count` rows have another winner, by a hair."""
    found = predictions()
    gaps = np.sort(np.exp(found), axis=1)
    for row in np.argsort(gaps[:, 2] - gaps[:, 1])[:count]:
        first, second = np.argsort(-found[row])[:2]
        found[row, [first, second]] = found[row, [second, first]]
    return found


def test_the_same_predictions_pass() -> None:
    assert verdict(predictions(), exact=True).passed
    assert verdict(predictions(), exact=False).passed


def test_two_in_a_thousand_labels_may_flip_where_devices_differ() -> None:
    assert verdict(flipped(2), exact=False).passed
    report = verdict(flipped(3), exact=False)
    assert not report.passed
    assert "3 of 1000 labels differ" in gate.failure(report)


def test_no_label_that_moves_the_metric_may_flip_on_the_same_device() -> None:
    assert not verdict(flipped(3), exact=True).passed


@pytest.mark.parametrize("exact", [True, False])
def test_probabilities_beyond_the_bound_fail_although_all_labels_agree(exact: bool) -> None:
    found = predictions()
    bound = gate.EXACT_PROBABILITY if exact else gate.LOOSE_PROBABILITY
    row = int(np.argmax(found.max(axis=1)))
    top = int(np.argmax(found[row]))
    found[row, top] = np.log(np.exp(found[row, top]) - 1.2 * bound)
    report = verdict(found, exact=exact)
    assert report.flipped_labels == 0
    assert not report.passed


def test_requirements_make_importable_what_they_need_and_no_more() -> None:
    found = gate.importable(["torch", "numpy"])
    assert {"torch", "numpy", "sympy"} <= found
    assert not {"selector", "torchvision", "timm", "PIL"} & found


@pytest.fixture
def copy(bundle_of: Callable[[str], ExportedBundle], tmp_path: Path) -> Path:
    """A copy of a bundle to damage."""
    return shutil.copytree(bundle_of("onnx").path, tmp_path / "bundle")


def some_images() -> gate.Reference:
    images = np.zeros((N, 8, 8, 3), np.uint8)
    return dataclasses.replace(reference(exact=True), images=images)


def test_mean_changed_in_the_bundle_fails_the_gate(copy: Path) -> None:
    about = json.loads((copy / "bundle.json").read_text())
    about["preprocessing"]["mean"] = [0.1, 0.5, 0.5]
    (copy / "bundle.json").write_text(json.dumps(about))
    with pytest.raises(ParityError, match="its preprocessing is not what network"):
        gate.check(copy, some_images())


def test_bundle_that_imports_more_than_it_lists_fails_the_gate(copy: Path) -> None:
    with (copy / "runtime.py").open("a") as program:
        program.write("\nimport safetensors\n")
    with pytest.raises(ParityError, match="No module named 'safetensors'"):
        gate.check(copy, some_images())


def test_other_classes_than_the_stored_ones_fail_the_gate(copy: Path) -> None:
    with pytest.raises(ParityError, match="classes are"):
        gate.check(copy, some_images())


@pytest.mark.parametrize(
    "change",
    [{"value": 0.0001}, {"value": 0.9999}, {"class": "dark"}],
    ids=["low", "high", "class"],
)
def test_bundle_that_decides_by_another_threshold_fails_the_gate(
    shapes: Place, shapes_bundle: ExportedBundle, tmp_path: Path, change: dict[str, object]
) -> None:
    copy = shutil.copytree(shapes_bundle.path, tmp_path / "bundle")
    about = json.loads((copy / "bundle.json").read_text())
    about["threshold"].update(change)
    (copy / "bundle.json").write_text(json.dumps(about))

    report = gate.check(copy, shapes.reference())

    assert report.flipped_labels == 0  # the most probable classes are what they were
    assert report.flipped_decisions > 0 and report.allowed_flipped_decisions == 0
    assert not report.passed
    assert "by the threshold" in gate.failure(report)
    assert shapes_bundle.parity.flipped_decisions == 0
