"""Pictures of what a candidate got wrong, and where it looked, written beside its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from selector import data
from selector.data.normalize import normalize
from selector.errors import InputError
from selector.explain.saliency import saliency
from selector.explain.source import SIDE, dataset_of, made_at_once, picture_of
from selector.predict import Predictor, load_predictor
from selector.records import Bytes, Floats, SplitImages, TrialRow
from selector.reporting.html.pictures import MANIFEST, folder_of
from selector.settings import Settings
from selector.store import Store

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Mistake:
    """A validation sample that the candidate got wrong, and how sure it was."""

    index: int
    label: int
    predicted: int
    probability: float


def draw_errors(store: Store, study: str, trial: TrialRow, *, settings: Settings) -> Path:
    """The folder with the most confident errors of a candidate, drawn where they are not there yet.

    Needs the data and the checkpoint: DataError or UnavailableError where they are out of reach,
    ConflictError where the data is no longer what the study saw.
    """
    folder = folder_of(settings.artifacts, study, trial.number)
    if _is_drawn(folder, trial):
        return folder
    if trial.checkpoint is None:
        raise InputError(f"Trial {trial.number} of study '{study}' has no checkpoint.")
    predictor = load_predictor(
        settings.artifacts / trial.checkpoint,
        device=torch.device("cpu"),
        sha256=trial.checkpoint_sha256,
    )
    dataset = dataset_of(store, study, settings=settings)
    validation = data.decode(dataset, predictor.preprocessing, cache=settings.cache).validation
    mistakes = most_confident(
        store.log_probabilities(study, trial.number), dataset.summary.validation_labels
    )
    _write(folder, mistakes, predictor, validation, trial=trial)
    return folder


def most_confident(log_probabilities: Floats, labels: np.ndarray) -> tuple[Mistake, ...]:
    """The errors with the highest stated probability, the surest first."""
    probabilities = np.exp(log_probabilities.astype(np.float64))
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    sure = probabilities[wrong, predicted[wrong]]
    return tuple(
        Mistake(int(i), int(labels[i]), int(predicted[i]), float(probabilities[i, predicted[i]]))
        for i in wrong[np.argsort(-sure, kind="stable")][:SHOWN]
    )


def _is_drawn(folder: Path, trial: TrialRow) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("checkpoint") == trial.checkpoint_sha256


def _write(
    folder: Path,
    mistakes: Sequence[Mistake],
    predictor: Predictor,
    validation: SplitImages,
    *,
    trial: TrialRow,
) -> None:
    """All pictures and their list, in a folder that appears at once."""
    with made_at_once(folder) as made:
        entries = _draw(made, mistakes, predictor, validation)
        text = json.dumps({"checkpoint": trial.checkpoint_sha256, "errors": entries}, indent=1)
        (made / MANIFEST).write_text(text, encoding="utf-8")


def _draw(
    folder: Path, mistakes: Sequence[Mistake], predictor: Predictor, validation: SplitImages
) -> list[dict[str, str | float | None]]:
    if not mistakes:
        return []
    chosen = [mistake.index for mistake in mistakes]
    pixels = np.array(validation.images[chosen])
    heat = _heat(predictor, pixels, [mistake.predicted for mistake in mistakes])
    names = predictor.class_names
    entries: list[dict[str, str | float | None]] = []
    for place, mistake in enumerate(mistakes):
        image, over = f"{place:02}.jpg", f"{place:02}-saliency.jpg"
        picture_of(pixels[place]).save(folder / image, quality=88)
        if heat is not None:
            _overlaid(pixels[place], heat[place]).save(folder / over, quality=88)
        entries.append(
            {
                "sample": validation.sample_ids[mistake.index],
                "label": names[mistake.label],
                "predicted": names[mistake.predicted],
                "probability": mistake.probability,
                "image": image,
                "saliency": over if heat is not None else None,
            }
        )
    return entries


def _heat(predictor: Predictor, pixels: Bytes, targets: Sequence[int]) -> Floats | None:
    """Saliency of each image; None for an architecture without maps or tokens."""
    images = normalize(torch.from_numpy(pixels), predictor.preprocessing)
    try:
        found = saliency(predictor.network, images, targets)
    except InputError:
        return None
    return np.asarray(found.cpu().numpy(), dtype=np.float32)


def _overlaid(pixels: Bytes, heat: Floats) -> Image.Image:
    """The picture in grey with a warm layer where the network looked."""
    grey = np.array(picture_of(pixels).convert("L").convert("RGB")).astype(np.float32)
    large = Image.fromarray((255 * heat).astype(np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR
    )
    weight = np.array(large, dtype=np.float32)[..., None] / 255
    warm = np.concatenate([np.full_like(weight, 230), 120 * weight + 60, 40 * (1 - weight)], axis=2)
    mixed = grey * (1 - 0.75 * weight) + warm * 0.75 * weight
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))
