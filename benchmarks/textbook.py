"""The fine-tuning search as textbooks write it: ImageFolder, a DataLoader, the whole network.

Every epoch opens and decodes every picture and runs all layers, the frozen ones too. What decides
the result is the same as in `selector`: weights, head, order of the samples, learning rates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from selector import backbones, tasks
from selector.data import load_image
from selector.records import Preprocessing, Recipe
from selector.training.batches import epoch_order, training_batches
from selector.training.optim import schedule_factor

EVALUATION_BATCH = 64
TASK = tasks.load("image_classification")


class Textbook:
    """A study in memory that is told which trials to run; each is trained when asked for."""

    def __init__(self, folder: Path, trials: Sequence[Recipe], *, checkpoints: Path) -> None:
        self.folder = folder
        self.trials = trials
        self.checkpoints = checkpoints
        self.study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=0),
            pruner=optuna.pruners.NopPruner(),
        )
        for recipe in trials:
            self.study.enqueue_trial(
                {
                    "backbone": recipe.backbone,
                    "lr": recipe.lr,
                    "freeze_depth": recipe.freeze_depth,
                }
            )

    def run_trial(self) -> float:
        """Train the next trial; its best validation macro-F1."""
        trial = self.study.ask()
        recipe = self.trials[trial.number]
        names = sorted({each.backbone for each in self.trials})
        trial.suggest_categorical("backbone", names)
        trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        trial.suggest_int("freeze_depth", 0, 5)
        score, _ = train_trial(trial, recipe, self.folder, checkpoints=self.checkpoints)
        self.study.tell(trial, score)
        return score


@dataclass(frozen=True)
class TextbookSpace:
    """What a search chooses from, and what its trials share."""

    backbones: Sequence[str]
    image_size: int
    epochs: int
    seed: int


class TextbookSearch:
    """The search of textbooks: TPE and the median pruner as Optuna has them, in memory."""

    def __init__(self, folder: Path, space: TextbookSpace, *, checkpoints: Path) -> None:
        self.folder = folder
        self.space = space
        self.checkpoints = checkpoints
        self.study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=space.seed),
            pruner=optuna.pruners.MedianPruner(),
        )

    def run_trial(self, note: Callable[[float], None]) -> int:
        """Train the next trial; its epochs. `note` is told the validation macro-F1 of each."""
        trial, space = self.study.ask(), self.space
        recipe = Recipe(
            backbone=trial.suggest_categorical("backbone", space.backbones),
            lr=trial.suggest_float("lr", 1e-5, 1e-2, log=True),
            freeze_depth=trial.suggest_int("freeze_depth", 0, 5),
            batch_size=trial.suggest_categorical("batch_size", [16, 32, 64]),
            image_size=space.image_size,
            epochs=space.epochs,
            seed=space.seed,
        )
        score, epochs = train_trial(
            trial, recipe, self.folder, checkpoints=self.checkpoints, note=note
        )
        if epochs < space.epochs:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(trial, score)
        return epochs


def train_trial(
    trial: optuna.Trial,
    recipe: Recipe,
    folder: Path,
    *,
    checkpoints: Path,
    note: Callable[[float], None] | None = None,
) -> tuple[float, int]:
    """The best validation macro-F1 of a trial, and how many epochs it ran."""
    backbone = backbones.load(recipe.backbone, image_size=recipe.image_size, seed=recipe.seed)
    transform = _transform(backbone.preprocessing)
    train = ImageFolder(folder / "train", transform, loader=load_image)
    validation = ImageFolder(folder / "validation", transform, loader=load_image)
    head = TASK.head(backbone.feature_dim, len(train.classes), seed=recipe.seed)
    network = nn.Sequential(backbone, head)
    frozen = backbone.stages[: recipe.freeze_depth]
    frozen.requires_grad_(False)
    weights = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.lr, weight_decay=recipe.weight_decay)
    schedule = _schedule(optimizer, recipe, len(train))
    torch.manual_seed(recipe.seed)
    best = -1.0
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        frozen.eval()
        for images, labels in _loader(train, recipe, epoch):
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
            optimizer.step()
            schedule.step()
        score = _score(network, validation)
        trial.report(score, epoch)
        if note is not None:
            note(score)
        if score > best:
            best = score
            torch.save(network.state_dict(), checkpoints / f"{trial.number}.pt")
        if trial.should_prune():
            return best, epoch
    return best, recipe.epochs


def _loader(train: ImageFolder, recipe: Recipe, epoch: int) -> DataLoader[Any]:
    """The training samples in the order in which `selector` sees them too."""
    order = epoch_order(len(train), seed=recipe.seed, epoch=epoch)
    batches = [batch.tolist() for batch in training_batches(order, recipe.batch_size)]
    return DataLoader(train, batch_sampler=batches)


def _schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, n: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Warm-up and decay over the steps of all epochs on `n` samples."""
    steps = len(training_batches(torch.arange(n), recipe.batch_size))
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: schedule_factor(
            step,
            recipe.epochs * steps,
            warmup_steps=round(recipe.warmup_epochs * steps),
            schedule=recipe.schedule,
        ),
    )


def _score(network: nn.Module, validation: ImageFolder) -> float:
    """Validation macro-F1 of the network as it is."""
    network.eval()
    predicted, actual = [], []
    with torch.no_grad():
        for images, labels in DataLoader(validation, batch_size=EVALUATION_BATCH):
            predicted += network(images).argmax(1).tolist()
            actual += labels.tolist()
    return float(f1_score(actual, predicted, average="macro", zero_division=0))


def _transform(preprocessing: Preprocessing) -> transforms.Compose:
    size = preprocessing.size
    return transforms.Compose(
        [
            transforms.Resize(
                size, transforms.InterpolationMode(preprocessing.interpolation), antialias=True
            ),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(preprocessing.mean, preprocessing.std),
        ]
    )
