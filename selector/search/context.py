"""What all trials of one worker share: the study file, the data, the store and the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from selector import metrics
from selector.events import Observer
from selector.records import Floats, Ints, Preprocessing, TrainingData
from selector.spec import StudySpec
from selector.store import Store
from selector.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """Everything a trial needs besides its parameters.

    `decode` gives the train and validation images for one preprocessing; the test split cannot be
    reached through it. `base` is the folder that relative weight files are read from.
    """

    spec: StudySpec
    store: Store
    task: Task
    device: torch.device
    artifacts: Path
    base: Path
    decode: Callable[[Preprocessing], TrainingData]
    observe: Observer

    def score(self, labels: Ints, log_probabilities: Floats, class_names: tuple[str, ...]) -> float:
        """The study's metric on validation predictions."""
        return metrics.compute(
            self.spec.metric.name,
            labels,
            log_probabilities,
            positive=positive_class(self.spec, class_names),
        )


def positive_class(spec: StudySpec, class_names: tuple[str, ...]) -> int | None:
    """The index of `metric.positive_class`, or None."""
    name = spec.metric.positive_class
    return class_names.index(name) if name is not None else None
