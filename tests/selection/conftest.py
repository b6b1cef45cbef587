"""Studies of made-up predictions whose true accuracies are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from selector import metrics, selection
from selector.records import (
    DataSummary,
    Floats,
    Leaderboard,
    StudyRow,
    TrialCounts,
    TrialRow,
)


@dataclass(frozen=True)
class MadeUp:
    """A study, its trials, and their predictions."""

    study: StudyRow
    trials: tuple[TrialRow, ...]
    predictions: Mapping[int, Floats]

    def build(self, metric: str | None = None) -> Leaderboard:
        return selection.build(
            self.study,
            self.trials,
            predictions=self.predictions,
            counts=TrialCounts(complete=len(self.trials)),
            metric=metric,
        )


def make_up(
    accuracies: Sequence[float],
    *,
    n: int = 300,
    classes: int = 4,
    seed: int = 0,
    metric: str = "f1_macro",
    positive: str | None = None,
) -> MadeUp:
    """Candidates that are right independently of each other, each at its accuracy."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % classes
    names = tuple(f"class {k}" for k in range(classes))
    predictions: dict[int, Floats] = {}
    trials = []
    for number, accuracy in enumerate(accuracies):
        wrong = generator.random(n) > accuracy
        chosen = np.where(wrong, (labels + generator.integers(1, classes, n)) % classes, labels)
        logits = generator.normal(0, 0.1, (n, classes))
        logits[np.arange(n), chosen] += 3
        log_p = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
        predictions[number] = log_p
        index = None if positive is None else names.index(positive)
        values = metrics.compute_all(labels, log_p, positive=index)
        trials.append(trial(number, values[metric], metrics=values))
    data = DataSummary("f", names, {"validation": n}, {}, (), labels)
    study = StudyRow(
        name="made-up",
        metric=metric,
        goal=metrics.goal_of(metric),
        spec={"metric": {"name": metric, "positive_class": positive}},
        spec_sha256="",
        data=data,
        created_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    )
    return MadeUp(study, tuple(trials), predictions)


def trial(number: int, score: float | None, **changes: object) -> TrialRow:
    """A complete trial with a score."""
    values: dict[str, object] = {
        "number": number,
        "state": "complete",
        "backbone": "toy:cnn",
        "params": {"lr": 0.1},
        "origin": "sampler",
        "seed": 0,
        "score": score,
        "best_epoch": 1,
        "epochs": 2,
        "seconds": 1.0,
        "failure_cause": None,
        "failure_message": None,
        "parameters": 100,
        "trained_parameters": 10,
        "latency_ms": 1.0,
        "checkpoint": f"made-up/{number}.safetensors",
    }
    return TrialRow(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def made_up() -> Callable[..., MadeUp]:
    """Makes studies of made-up predictions."""
    return make_up


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., TrialRow]:
    """Makes complete trials."""
    return trial
