"""What a network costs, measured in a moment: time of one prediction, time and memory of a step."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import torch

from selector.data.normalize import normalize
from selector.records import Recipe, SplitImages, StepCost, TrainingData
from selector.tasks.base import Task
from selector.training.evaluation import predict_log_probabilities
from selector.training.loop import train
from selector.training.network import Network
from selector.training.precision import Precision, autocast
from selector.training.prefix import FILL_BATCH

LATENCY_REPEATS = 10
WARMUP_REPEATS = 3
PROBE_BATCHES = 2
PROBE_EPOCHS = 2


def latency_ms(network: Network, *, device: torch.device, precision: Precision = "fp32") -> float:
    """Milliseconds from the pixels of one image to its logits: the median of several."""
    network.place(device)
    preprocessing = network.backbone.preprocessing
    pixels = torch.zeros((1, preprocessing.size, preprocessing.size, 3), dtype=torch.uint8)

    def predict() -> None:
        with torch.no_grad(), autocast(precision, device):
            network(normalize(pixels.to(device), preprocessing))

    was_training = network.training
    network.eval()
    for _ in range(WARMUP_REPEATS):
        predict()
    times = [_seconds(predict, device) for _ in range(LATENCY_REPEATS)]
    network.train(was_training)
    return 1000 * statistics.median(times)


def measure_step(network: Network, recipe: Recipe, *, device: torch.device, task: Task) -> StepCost:
    """Time of an image in training and in prediction, and the device memory of both.

    Trains a moment on noise with a learning rate of 0; normalisation statistics move, so use a
    network that is thrown away. Training time is that of an epoch after the first: where `recipe`
    lets the frozen stages' outputs be held, the first one costs a prediction of each image more.
    """
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    probe = dataclasses.replace(recipe, lr=0.0, epochs=PROBE_EPOCHS)
    train_split = _noise(PROBE_BATCHES * recipe.batch_size, recipe.image_size)
    data = TrainingData(train_split, _noise(1, recipe.image_size), ("a", "b"))
    with closing(train(network, data, probe, device=device, task=task)) as epochs:
        seconds = [epoch.seconds for epoch in epochs]
    evaluated = _noise(max(len(train_split.labels), FILL_BATCH), recipe.image_size)

    def predict() -> None:
        predict_log_probabilities(
            network,
            evaluated,
            network.backbone.preprocessing,
            task=task,
            device=device,
            precision=recipe.precision,
        )

    n = len(train_split.labels)
    prediction_seconds = _seconds(predict, device) / len(evaluated.labels)
    # Predictions and fills take batches of their own size, which may be the larger ones.
    peak_bytes = torch.cuda.max_memory_allocated(device) if on_cuda else None
    return StepCost(seconds[-1] / n, prediction_seconds, peak_bytes)


def _noise(n: int, size: int) -> SplitImages:
    rng = np.random.default_rng(0)
    return SplitImages(
        images=rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8),
        labels=np.arange(n, dtype=np.int64) % 2,
        sample_ids=tuple(str(i) for i in range(n)),
    )


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The time that `work` takes, until the device has done it."""
    _wait_for(device)
    started = time.perf_counter()
    work()
    _wait_for(device)
    return time.perf_counter() - started


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
