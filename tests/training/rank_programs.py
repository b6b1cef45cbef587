"""What the ranks of a test run: functions that a process of its own can import."""

from __future__ import annotations

import dataclasses
import pickle
from contextlib import closing
from multiprocessing.connection import Connection

import torch
import torch.distributed as dist
from torch import nn

from selector import backbones, tasks
from selector.records import EpochResult, Recipe, TrainingData
from selector.training import Network, Portions, TrainingState, train
from selector.training.ranks import Ranks

from .conftest import CLASSES, CPU, SIZE, make_split, recipe

TASK = tasks.load("image_classification")


@dataclasses.dataclass(frozen=True)
class Case:
    """A training: a recipe, and what else may differ from the usual."""

    recipe: Recipe
    plain: bool = True  # without batch normalisation and dropout
    limit: int | None = None
    samples: int = 49
    start: TrainingState | None = None
    keep: tuple[int, int] | None = None  # the epoch, and the step before which the state is kept


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What rank 0 sees of it."""

    results: list[EpochResult]
    predictions: list[object]
    weights: dict[str, torch.Tensor]
    kept: TrainingState | None


def case(**changes: object) -> Case:
    named = {f.name for f in dataclasses.fields(Case)}
    own = {name: changes.pop(name) for name in list(changes) if name in named}
    return Case(recipe(**changes), **own)


def begin(chosen: Case) -> Network:
    """The network of a case, in all ranks the same."""
    made = chosen.recipe
    backbone = backbones.load(
        made.backbone, weights="pretrained", image_size=made.image_size, seed=made.seed
    )
    if chosen.plain:
        for stage in backbone.stages[made.freeze_depth :]:
            _make_plain(stage)
    head = TASK.head(backbone.feature_dim, len(CLASSES), seed=made.seed)
    return Network(backbone, head, freeze_depth=made.freeze_depth)


def outcome_of(chosen: Case, ranks: Ranks | None = None) -> Outcome:
    """Train a case to its end."""
    keeper = _Keeper(chosen)
    network, portions = begin(chosen), Portions()
    portions.of(chosen.recipe).steps.limit = chosen.limit
    data = TrainingData(make_split(chosen.samples, seed=1), make_split(150, seed=2), CLASSES)
    if chosen.recipe.image_size != SIZE:
        data = TrainingData(_sized(data.train, chosen), _sized(data.validation, chosen), CLASSES)
    epochs = train(
        network,
        data,
        chosen.recipe,
        device=CPU,
        task=TASK,
        keeper=keeper,
        portions=portions,
        ranks=ranks,
    )
    with closing(epochs):
        results = list(epochs)
    predictions = [result.log_probabilities for result in results]
    results = [dataclasses.replace(result, fetch=None) for result in results]
    return Outcome(results, predictions, network.trained_state(), keeper.kept)


def main(rank: int, size: int, file: str, cases: bytes, pipe: Connection) -> None:
    """One rank of a group that trains all cases; rank 0 sends what came of each.

    Pickled as they are: torch would have tensors that travel stay with the process that made them.
    """
    torch.set_num_threads(1)
    store = dist.FileStore(file, size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    for chosen in pickle.loads(cases):  # noqa: S301 - our own process
        found = outcome_of(chosen, Ranks(rank, size))
        if rank == 0:
            pipe.send_bytes(pickle.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


class _Keeper:
    def __init__(self, chosen: Case) -> None:
        self.start, self.kept, self._when, self._asked = chosen.start, None, chosen.keep, [1, 0]

    def wants(self, step: int) -> bool:
        if step <= self._asked[1]:
            self._asked[0] += 1
        self._asked[1] = step
        return self._when == tuple(self._asked)

    def keep(self, state: TrainingState) -> None:
        self.kept = state


def _make_plain(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            plain = nn.GroupNorm(1, child.num_features)
            # Some normalisation layers have their activation inside.
            if not isinstance(child, nn.BatchNorm2d) or type(child) is not nn.BatchNorm2d:
                plain = nn.Sequential(plain, nn.ReLU6())
            setattr(module, name, plain)
        elif isinstance(child, nn.modules.dropout._DropoutNd):
            setattr(module, name, nn.Identity())
        else:
            _make_plain(child)


def _sized(split, chosen: Case):
    factor = chosen.recipe.image_size // SIZE
    images = split.images.repeat(factor, axis=1).repeat(factor, axis=2)
    return dataclasses.replace(split, images=images)
