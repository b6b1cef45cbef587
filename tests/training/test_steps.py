"""Inside an epoch nothing waits for the device, and everything has the fast memory order."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from selector.records import TrainingData
from selector.training import images, latency_ms, predict_log_probabilities, train
from selector.training.sources import open_sources
from selector.training.steps import Steps

from .conftest import CLASSES, CPU, make_network, make_split, recipe

# What brings a value of the device to the host, and so waits for all work before it.
FETCHES = (
    *("item", "cpu", "numpy", "tolist"),
    *("__bool__", "__float__", "__int__", "__index__", "__array__"),
)
SOURCES = [(0, "none"), (0, "flip"), (0, "light"), (0, "trivial"), (0, "strong")]
SOURCES += [(3, "none"), (3, "flip"), (3, "strong"), (5, "none")]


class Fetches(TorchFunctionMode):
    """Counts what Python asks of tensors' values."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in FETCHES:
            self.found[name] += 1
        return function(*args, **(kwargs or {}))


class Scalars(TorchDispatchMode):
    """Counts values that torch itself takes out of tensors."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket is torch.ops.aten._local_scalar_dense:
            self.found["_local_scalar_dense"] += 1
        return function(*args, **(kwargs or {}))


def steps_of(network, data, chosen, *, device, task):
    """A trial's steps and where they read from, set up as training does."""
    network.place(device)
    sources = open_sources(network, data, chosen, device=device, hold_bytes=2**30)
    steps = Steps.prepare(
        network, data.train.labels, chosen, n_classes=len(CLASSES), device=device, task=task
    )
    return steps, sources


def test_the_counters_see_what_waits():
    with Fetches() as fetches, Scalars() as scalars:
        x = torch.ones(3)
        x.sum().item()
        float(x[0])
        x.cpu().numpy()
        bool(x[0] > 0)
    assert fetches.found.keys() >= {"item", "cpu", "numpy", "__float__", "__bool__"}
    assert scalars.found["_local_scalar_dense"] >= 3


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(("freeze_depth", "augment"), SOURCES)
def test_no_step_of_an_epoch_asks_for_a_value(freeze_depth, augment, optimizer, data, task):
    chosen = recipe(
        freeze_depth=freeze_depth,
        augment=augment,
        optimizer=optimizer,
        class_weights="balanced",
        batch_size=4,
    )
    steps, sources = steps_of(make_network(freeze_depth), data, chosen, device=CPU, task=task)
    for epoch in (1, 2):
        with Fetches() as fetches, Scalars() as scalars:
            steps.epoch(sources.train(epoch), epoch)
        assert not fetches.found
        assert not scalars.found


def test_an_epoch_waits_once_however_many_steps_it_has(data, task):
    def asked(batch_size):
        chosen = recipe(freeze_depth=3, batch_size=batch_size)
        epochs = train(make_network(3), data, chosen, device=CPU, task=task)
        next(epochs)
        with Fetches() as fetches, Scalars() as scalars:
            next(epochs)
        epochs.close()
        return fetches.found, scalars.found

    assert asked(4) == asked(49) == (Counter(cpu=1, numpy=1), Counter())


@pytest.mark.parametrize("freeze_depth", [0, 2])
def test_convolutions_see_channels_last_in_training_prediction_and_timing(freeze_depth, data, task):
    network = make_network(freeze_depth)
    seen = []

    def watch(module, inputs):
        last = torch.channels_last
        seen.append(inputs[0].is_contiguous(memory_format=last))
        seen.append(module.weight.is_contiguous(memory_format=last))

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(watch)
    list(train(network, data, recipe(freeze_depth=freeze_depth), device=CPU, task=task))
    preprocessing = network.backbone.preprocessing
    predict_log_probabilities(network, data.validation, preprocessing, task=task, device=CPU)
    latency_ms(network, device=CPU)
    assert len(seen) > 20
    assert all(seen)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(("freeze_depth", "augment"), SOURCES)
def test_an_epoch_on_a_gpu_makes_no_call_that_waits(
    freeze_depth, augment, resident, precision, task, monkeypatch
):
    if not resident:
        monkeypatch.setattr(images, "RESIDENT_SHARE", 0.0)
    data = TrainingData(make_split(200, seed=1), make_split(30, seed=2), CLASSES)
    chosen = recipe(freeze_depth=freeze_depth, augment=augment, precision=precision)
    network = make_network(freeze_depth)
    steps, sources = steps_of(network, data, chosen, device=torch.device("cuda"), task=task)
    steps.epoch(sources.train(1), 1)  # loads kernels and makes the optimizer's state
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps.epoch(sources.train(2), 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
