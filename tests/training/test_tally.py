"""What an epoch is scored by: counted on the device, equal to the metrics of its predictions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from selector import metrics
from selector.training import tally as tallies
from selector.training import train
from selector.training.tally import fetch_later, tally

from .conftest import CPU, make_network, recipe

COUNTED = [name for name in metrics.names() if metrics.is_count_based(name)]
ZERO = torch.zeros(())


def predictions(n, n_classes, *, seed):
    """Labels and predictions with ties, with classes that are never predicted or never true."""
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.integers(0, 3, (n, n_classes)).astype(np.float32))
    scores[:, -1] -= 5
    labels = rng.integers(0, max(1, n_classes - 1), n)
    return labels, torch.log_softmax(scores, dim=1)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("name", COUNTED)
def test_every_count_based_metric_is_that_of_the_predictions(name, n_classes):
    positive = 1 if metrics.needs_positive(name) else None
    for seed, n in enumerate([1, 2, 30, 400]):
        labels, log_p = predictions(n, n_classes, seed=seed)
        found = tally(ZERO, log_p, torch.from_numpy(labels))
        got = float(metrics.from_confusion(name, found.confusion, positive=positive))
        assert got == metrics.compute(name, labels, log_p.numpy(), positive=positive)


def test_losses_and_counts_travel_together():
    labels, log_p = predictions(50, 4, seed=0)
    found = tally(torch.tensor(12.5, dtype=torch.float64), log_p, torch.from_numpy(labels))
    assert found.train_loss == 12.5
    assert found.validation_loss == pytest.approx(
        metrics.compute("log_loss", labels, log_p.numpy()), rel=1e-12
    )
    assert found.finite
    assert found.confusion.sum() == 50


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_one_broken_prediction_is_seen(value):
    labels, log_p = predictions(50, 4, seed=0)
    log_p[7, 2] = value
    assert not tally(ZERO, log_p, torch.from_numpy(labels)).finite


def test_predictions_are_fetched_once_and_only_when_asked_for(monkeypatch):
    fetched = []
    original = tallies.to_host
    monkeypatch.setattr(tallies, "to_host", lambda t: fetched.append(t) or original(t))
    _, log_p = predictions(5, 3, seed=0)
    fetch = fetch_later(log_p)
    assert not fetched
    assert fetch() is fetch()
    assert len(fetched) == 1


def test_a_result_keeps_the_predictions_of_its_own_epoch(data, task):
    results = list(train(make_network(3), data, recipe(freeze_depth=3), device=CPU, task=task))
    assert not np.array_equal(results[0].log_probabilities, results[1].log_probabilities)
    for result in results:
        for name in COUNTED:
            positive = 0 if metrics.needs_positive(name) else None
            wanted = metrics.compute(
                name, data.validation.labels, result.log_probabilities, positive=positive
            )
            got = metrics.from_confusion(name, result.confusion, positive=positive)
            assert float(got) == wanted


def test_results_are_values(data, task):
    epochs = train(make_network(5), data, recipe(freeze_depth=5), device=CPU, task=task)
    with pytest.raises(dataclasses.FrozenInstanceError):
        next(epochs).train_loss = 0.0
    epochs.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_counts_what_the_cpu_counts():
    labels, log_p = predictions(400, 10, seed=0)
    wanted = tally(ZERO, log_p, torch.from_numpy(labels))
    got = tally(ZERO.cuda(), log_p.cuda(), torch.from_numpy(labels).cuda())
    assert np.array_equal(got.confusion, wanted.confusion)
    assert got.validation_loss == pytest.approx(wanted.validation_loss, rel=1e-9)
