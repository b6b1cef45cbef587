"""Pictures of what a candidate got wrong, and where it looked, written beside its checkpoint."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from selector import data
from selector.data.normalize import normalize
from selector.errors import ConflictError, InputError
from selector.predict import Predictor, load_predictor
from selector.records import Bytes, Floats, SplitImages, StudyRow, TrialRow
from selector.reporting.html.pictures import MANIFEST, folder_of
from selector.settings import Settings
from selector.spec import from_plain
from selector.store import Store
from selector.training import Network

SHOWN = 12
SIDE = 192  # pixels of a written picture
TAPPED_STAGES = 4  # of five: the last one ends in pooled features, without a place in the image


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
    row = store.require_study(study)
    if trial.checkpoint is None:
        raise InputError(f"Trial {trial.number} of study '{study}' has no checkpoint.")
    predictor = load_predictor(
        settings.artifacts / trial.checkpoint,
        device=torch.device("cpu"),
        sha256=trial.checkpoint_sha256,
    )
    validation = _validation(row, predictor, settings=settings)
    mistakes = most_confident(
        store.log_probabilities(study, trial.number), row.data.validation_labels
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


def saliency(network: Network, images: Tensor, targets: Sequence[int]) -> Tensor:
    """Where `network` looked for the classes `targets`: (n, height, width) from 0 to 1.

    Grad-CAM (Selvaraju et al. 2017) on the output of the fourth stage, for maps and for tokens;
    `images` are normalised, (n, 3, height, width).
    """
    from captum.attr import LayerAttribution, LayerGradCam

    tapped = _Tapped(network).eval()
    heat = LayerGradCam(tapped, tapped.tap).attribute(
        images.requires_grad_(True), target=list(targets), relu_attributions=True
    )
    heat = LayerAttribution.interpolate(heat.detach(), tuple(images.shape[-2:]), "bilinear")
    maps: Tensor = heat[:, 0]
    return maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)


class _Tapped(nn.Module):
    """A network whose fourth stage passes a layer that sees it as maps (n, channels, h, w)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.tap = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        stages = self.network.backbone.stages
        x = images
        for stage in stages[:TAPPED_STAGES]:
            x = stage(x)
        x = self._through_tap(x)
        for stage in stages[TAPPED_STAGES:]:
            x = stage(x)
        logits: Tensor = self.network.head(x)
        return logits

    def _through_tap(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            # Swin and its kin keep channels last: the two equal sides are the image's.
            last = x.shape[1] == x.shape[2] != x.shape[3]
            seen: Tensor = self.tap(x.permute(0, 3, 1, 2) if last else x)
            return seen.permute(0, 2, 3, 1) if last else seen
        if x.dim() != 3:
            raise InputError("This architecture has no maps to look at.")
        side = math.isqrt(x.shape[1])
        extra = x.shape[1] - side * side  # class and register tokens, which have no place
        maps = x[:, extra:].transpose(1, 2).reshape(len(x), -1, side, side)
        tokens = self.tap(maps).flatten(2).transpose(1, 2)
        return torch.cat([x[:, :extra], tokens], dim=1)


def _validation(row: StudyRow, predictor: Predictor, *, settings: Settings) -> SplitImages:
    """The validation images as the candidate saw them."""
    spec = from_plain(row.spec)
    dataset = data.inspect(spec.data, base=Path.cwd(), cache=settings.cache)
    if dataset.summary.fingerprint != row.data.fingerprint:
        raise ConflictError(
            f"The data of study '{row.name}' has changed since "
            f"({row.data.fingerprint} then, {dataset.summary.fingerprint} now)."
        )
    return data.decode(dataset, predictor.preprocessing, cache=settings.cache).validation


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
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".pictures-") as place:
        made = Path(place) / "made"
        made.mkdir()
        entries = _draw(made, mistakes, predictor, validation)
        text = json.dumps({"checkpoint": trial.checkpoint_sha256, "errors": entries}, indent=1)
        (made / MANIFEST).write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


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
        _picture(pixels[place]).save(folder / image, quality=88)
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


def _picture(pixels: Bytes) -> Image.Image:
    sharp = pixels.shape[0] < SIDE // 2
    resampling = Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS
    return Image.fromarray(pixels).resize((SIDE, SIDE), resampling)


def _overlaid(pixels: Bytes, heat: Floats) -> Image.Image:
    """The picture in grey with a warm layer where the network looked."""
    grey = np.array(_picture(pixels).convert("L").convert("RGB")).astype(np.float32)
    large = Image.fromarray((255 * heat).astype(np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR
    )
    weight = np.array(large, dtype=np.float32)[..., None] / 255
    warm = np.concatenate([np.full_like(weight, 230), 120 * weight + 60, 40 * (1 - weight)], axis=2)
    mixed = grey * (1 - 0.75 * weight) + warm * 0.75 * weight
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))
