"""What all trials of one worker share: the study file, the data, the store and the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import torch

from selector import metrics
from selector.backbones.base import STAGES
from selector.events import Observer
from selector.records import (
    EpochResult,
    Floats,
    Heat,
    Ints,
    Preprocessing,
    Recipe,
    StudyRow,
    TrainingData,
)
from selector.search.outages import waiting_for
from selector.settings import Settings
from selector.spec import StudySpec
from selector.spec.domains import AnyDomain, Choice, Fixed, values_of
from selector.store import Store
from selector.tasks import Task
from selector.training import Keeper, Network, Portions, train
from selector.training.cache import PrefixCache
from selector.training.ranks import Ranks

TrainEpochs = Callable[
    [Network, TrainingData, Recipe, Keeper | None], Generator[EpochResult, None, None]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of one network."""

    context: StudyContext
    network: Network
    data: TrainingData
    recipe: Recipe
    keeper: Keeper | None

    def epochs(self, ranks: Ranks | None = None) -> Generator[EpochResult, None, None]:
        """What it yields in this process: the only one, or one of several ranks."""
        context = self.context
        return train(
            self.network,
            self.data,
            self.recipe,
            device=context.device,
            task=context.task,
            prefix_cache=context.prefix_cache,
            keeper=self.keeper,
            portions=context.portions,
            ranks=ranks,
        )


class TrainTogether(Protocol):
    """Trains networks in several processes, of which this is one."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def __call__(self, training: Training) -> Generator[EpochResult, None, None]:
        """The epochs of training one network; raises RankLostError when one of them is gone."""
        ...

    def close(self) -> None:
        """End the others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """Everything a trial needs besides its parameters.

    `decode` gives the train and validation images for one preprocessing; the test split cannot be
    reached through it. `base` is the folder that relative weight files are read from. Without a
    `prefix_cache` every trial computes its frozen stages' outputs for itself. `epochs` says where a
    trial's epochs come from; without it, every trial is trained alone. A `team` of several
    processes trains a network together. `portions` is what this worker learnt of how many samples
    fit into memory at once.
    """

    spec: StudySpec
    store: Store
    task: Task
    device: torch.device
    artifacts: Path
    base: Path
    decode: Callable[[Preprocessing], TrainingData]
    observe: Observer
    prefix_cache: PrefixCache | None = None
    team: TrainTogether | None = None
    epochs: TrainEpochs | None = None
    folds: tuple[Callable[[Preprocessing], TrainingData], ...] = ()  # likewise, of the finals
    portions: Portions = field(default_factory=Portions)

    def stored(self) -> StudyRow:
        """The study as it is in the store; a store that is silent is waited for."""
        outages = waiting_for(self.store, observe=self.observe)
        return outages.ride_out(lambda: self.store.require_study(self.spec.name))

    def alone(
        self,
        network: Network,
        data: TrainingData,
        recipe: Recipe,
        keeper: Keeper | None = None,
    ) -> Generator[EpochResult, None, None]:
        """The epochs of training one network and no other.

        A linear probe has next to nothing to compute, so it needs no team.
        """
        training = Training(context=self, network=network, data=data, recipe=recipe, keeper=keeper)
        if self.team is not None and self.devices_of(network) > 1:
            return self.team(training)
        return training.epochs()

    def devices_of(self, network: Network) -> int:
        """How many devices train a network."""
        return 1 if self.team is None or network.freeze_depth == STAGES else self.team.size

    def score_of(self, result: EpochResult, data: TrainingData) -> float:
        """The study's metric after an epoch; its predictions are fetched only if it needs them."""
        name = self.spec.metric.name
        if not metrics.is_count_based(name):
            labels = data.validation.labels
            return self.score(labels, result.log_probabilities, data.class_names)
        positive = positive_class(self.spec, data.class_names)
        return float(metrics.from_confusion(name, result.confusion, positive=positive))

    def for_heat(self, heat: Heat | None) -> StudyContext:
        """The context of one training of the finals: its seed and its fold."""
        if heat is None:
            return self
        return replace(
            self,
            spec=self.spec.model_copy(update={"seed": heat.seed}),
            decode=self.folds[heat.fold] if self.folds else self.decode,
        )

    def score(self, labels: Ints, log_probabilities: Floats, class_names: tuple[str, ...]) -> float:
        """The study's metric on validation predictions."""
        return metrics.compute(
            self.spec.metric.name,
            labels,
            log_probabilities,
            positive=positive_class(self.spec, class_names),
        )


def open_prefix_cache(spec: StudySpec, settings: Settings, observe: Observer) -> PrefixCache | None:
    """The cache of frozen stages' outputs for all depths of the search space, or None: off."""
    if spec.training.prefix_cache == "off":
        return None
    return PrefixCache(
        settings.cache,
        quota_bytes=round(settings.cache_gb * 1e9),
        depths={name: _depths(spec.space_of(name)["freeze_depth"]) for name in spec.backbone_names},
        observe=observe,
    )


def _depths(domain: AnyDomain) -> frozenset[int]:
    """The freeze depths that a domain can give."""
    match domain:
        case Fixed() | Choice():
            return frozenset(int(value) for value in values_of(domain))
        case _:
            return frozenset(range(math.ceil(domain.low), math.floor(domain.high) + 1))


def positive_class(spec: StudySpec, class_names: tuple[str, ...]) -> int | None:
    """The index of `metric.positive_class`, or None."""
    name = spec.metric.positive_class
    return class_names.index(name) if name is not None else None
