"""Labels and probabilities of images, from a stored candidate or an exported bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selector import backbones, consumer, data, tasks
from selector.consumer import predict as consumer_program
from selector.consumer.predict import Classifier
from selector.errors import ConflictError, InputError, UnavailableError
from selector.records import Floats, Prediction, Preprocessing, StudyRow, TrialRow
from selector.selection.best import best_candidate
from selector.selection.retention import not_kept
from selector.store import Store
from selector.tasks import Task
from selector.training import Network, load_checkpoint, predict_log_probabilities
from selector.training.precision import Precision

BATCH = 64


@dataclass(frozen=True, slots=True)
class Predictor:
    """A trained network with all that turns image files into labels."""

    network: Network
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    task: Task
    device: torch.device
    precision: Precision
    about: Mapping[str, str]  # what the checkpoint says of itself

    def predict(self, paths: Sequence[Path]) -> Iterator[Prediction]:
        """One prediction an image, in order; DataError for a file that is no readable image."""
        for start in range(0, len(paths), BATCH):
            chunk = paths[start : start + BATCH]
            pixels = np.stack([data.resize(data.load_image(p), self.preprocessing) for p in chunk])
            for path, row in zip(chunk, np.exp(self.log_probabilities(pixels)), strict=True):
                named = dict(zip(self.class_names, (float(p) for p in row), strict=True))
                yield Prediction(str(path), self.class_names[int(row.argmax())], named)

    def log_probabilities(self, pixels: Any) -> Floats:
        """(n, n_classes) float32 for uint8 images (n, height, width, 3)."""
        return predict_log_probabilities(
            self.network,
            pixels,
            self.preprocessing,
            task=self.task,
            device=self.device,
            precision=self.precision,
        )


def load_predictor(
    checkpoint: Path, *, device: torch.device, sha256: str | None = None
) -> Predictor:
    """The candidate in a checkpoint file, ready to predict.

    Raises ConflictError when the backbone's own weights are not those it was trained on.
    """
    loaded = load_checkpoint(checkpoint, sha256=sha256)
    metadata = loaded.metadata
    preprocessing = _preprocessing(metadata["preprocessing"])
    class_names = tuple(json.loads(metadata["class_names"]))
    backbone = backbones.load(
        metadata["backbone"],
        weights=metadata["weights"],
        image_size=preprocessing.size,
        seed=int(metadata["weights_seed"]),
    )
    if backbone.weights_id != metadata["weights_id"]:
        raise ConflictError(
            f"{checkpoint}: trained on weights {metadata['weights_id']} of {backbone.name}, but "
            f"{backbone.weights_id} is what is installed now. Restore those weights."
        )
    task = tasks.load(metadata["task"])
    head = task.head(backbone.feature_dim, len(class_names), seed=0)
    network = Network(backbone, head, freeze_depth=int(metadata["freeze_depth"]))
    network.load_trained_state(loaded.tensors)
    return Predictor(
        network.place(device).eval(),
        preprocessing,
        class_names,
        task,
        device,
        # Reduced precision is a property of the device it was trained on.
        metadata["precision"] if device.type == "cuda" else "fp32",  # type: ignore[arg-type]
        metadata,
    )


@dataclass(frozen=True, slots=True)
class BundlePredictor:
    """An exported bundle; it needs no store and not what it was trained with."""

    classifier: Classifier
    preprocessing: Preprocessing

    def predict(self, paths: Sequence[Path]) -> Iterator[Prediction]:
        """One prediction an image, in order; DataError for a file that is no readable image."""
        names = self.classifier.class_names
        for start in range(0, len(paths), BATCH):
            chunk = paths[start : start + BATCH]
            pixels = np.stack([data.resize(data.load_image(p), self.preprocessing) for p in chunk])
            found = np.exp(self.classifier.log_probabilities(pixels))
            for path, row in zip(chunk, found, strict=True):
                named = dict(zip(names, (float(p) for p in row), strict=True))
                yield Prediction(str(path), self.classifier.label(named), named)


def open_bundle(folder: Path) -> BundlePredictor:
    """The predictor in a bundle's folder, on the CPU. Runs no code from the folder.

    Raises InputError for a bundle that is damaged or was changed, UnavailableError where the
    packages of its format are not installed.
    """
    try:
        about = consumer_program.read_bundle(folder)
        runtime = consumer.load_runtime(about["format"])
        classifier = Classifier.open(folder, runtime=runtime)
    except consumer_program.BundleError as error:
        raise InputError(f"{error}. Export it again: selector export.") from error
    except ImportError as error:
        raise UnavailableError(
            f"Bundle '{folder}' needs a package that is not here ({error}). "
            f"Install what it lists: pip install -r {folder / 'requirements.txt'}."
        ) from error
    return BundlePredictor(classifier, _preprocessing(json.dumps(about["preprocessing"])))


def candidate_of(store: Store, study: str, *, trial: int | None = None) -> TrialRow:
    """The pick of a study's finals, else its best candidate, or the given trial.

    InputError when there is none, UnavailableError for one whose checkpoint was not kept.
    """
    found, finals = store.require_study(study), store.finals(study)
    if trial is None and finals is not None:
        trial = finals.pick
    complete = [row for row in store.trials(study) if row.state == "complete"]
    if trial is not None:
        chosen = next((row for row in complete if row.number == trial), None)
        if chosen is None:
            numbers = ", ".join(str(row.number) for row in complete) or "none"
            raise InputError(f"Study '{study}' has no candidate {trial}. Candidates: {numbers}.")
        return _with_checkpoint(found, chosen)
    best = best_candidate(complete, goal=found.goal)
    if best is None:
        raise InputError(f"Study '{study}' has no completed trial yet, so nothing can predict.")
    return _with_checkpoint(found, best)


def _with_checkpoint(study: StudyRow, candidate: TrialRow) -> TrialRow:
    if candidate.checkpoint is None:
        raise UnavailableError(not_kept(study, candidate))
    return candidate


def _preprocessing(text: str) -> Preprocessing:
    fields = json.loads(text)
    return Preprocessing(
        size=fields["size"],
        interpolation=fields["interpolation"],
        mean=tuple(fields["mean"]),
        std=tuple(fields["std"]),
    )
