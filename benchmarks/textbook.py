"""The fine-tuning search as textbooks write it: ImageFolder, a DataLoader, the whole network.

Every epoch opens and decodes every picture and runs all layers, the frozen ones too. What decides
the result is the same as in `selector`: weights, head, order of the samples, learning rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
        score = self._train(trial, recipe)
        self.study.tell(trial, score)
        return score

    def _train(self, trial: optuna.Trial, recipe: Recipe) -> float:
        backbone = backbones.load(recipe.backbone, image_size=recipe.image_size, seed=recipe.seed)
        train = ImageFolder(
            self.folder / "train", _transform(backbone.preprocessing), loader=load_image
        )
        validation = ImageFolder(
            self.folder / "validation", _transform(backbone.preprocessing), loader=load_image
        )
        head = TASK.head(backbone.feature_dim, len(train.classes), seed=recipe.seed)
        network = nn.Sequential(backbone, head)
        frozen = backbone.stages[: recipe.freeze_depth]
        frozen.requires_grad_(False)
        weights = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=recipe.lr, weight_decay=recipe.weight_decay)
        steps = len(training_batches(torch.arange(len(train)), recipe.batch_size))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: schedule_factor(
                step,
                recipe.epochs * steps,
                warmup_steps=round(recipe.warmup_epochs * steps),
                schedule=recipe.schedule,
            ),
        )
        torch.manual_seed(recipe.seed)
        best = -1.0
        for epoch in range(1, recipe.epochs + 1):
            network.train()
            frozen.eval()
            order = epoch_order(len(train), seed=recipe.seed, epoch=epoch)
            batches = [batch.tolist() for batch in training_batches(order, recipe.batch_size)]
            for images, labels in DataLoader(train, batch_sampler=batches):
                loss = F.cross_entropy(network(images), labels)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
                optimizer.step()
                schedule.step()
            score = _score(network, validation)
            trial.report(score, epoch)
            if score > best:
                best = score
                torch.save(network.state_dict(), self.checkpoints / f"{trial.number}.pt")
            if trial.should_prune():
                break
        return best


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
