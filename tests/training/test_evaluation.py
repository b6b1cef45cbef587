"""Predictions for any images, and what a network costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selector.data.normalize import normalize
from selector.errors import InputError
from selector.training import latency_ms, measure_step, predict_log_probabilities

from .conftest import CPU, make_network, make_split, recipe

SPLIT = make_split(70, seed=5)


def predict(network, images, task, **options):
    return predict_log_probabilities(
        network, images, network.backbone.preprocessing, task=task, device=CPU, **options
    )


@pytest.mark.parametrize("depth", [0, 3, 5])
def test_predictions_are_the_log_softmax_of_the_network_in_evaluation_mode(depth, task):
    network = make_network(depth)
    got = predict(network, SPLIT, task)
    network.eval()
    with torch.no_grad():
        pixels = normalize(torch.from_numpy(SPLIT.images), network.backbone.preprocessing)
        wanted = torch.log_softmax(network(pixels), dim=1)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-5)


def test_split_array_and_batches_predict_alike(task):
    network = make_network(2)
    wanted = predict(network, SPLIT, task)
    assert np.array_equal(predict(network, SPLIT.images, task), wanted)
    halves = (SPLIT.images[start : start + 64] for start in (0, 64))
    assert np.array_equal(predict(network, halves, task), wanted)


@pytest.mark.parametrize("batch_size", [1, 7, 70, 1000])
def test_the_batch_size_moves_no_prediction(batch_size, task):
    network = make_network(0)
    got = predict(network, SPLIT, task, batch_size=batch_size)
    np.testing.assert_allclose(got, predict(network, SPLIT, task), atol=5e-5)


def test_predicting_changes_no_statistics_and_keeps_the_mode(task):
    network = make_network(2).train()
    before = network.trained_state()
    predict(network, SPLIT, task)
    assert all(torch.equal(v, before[k]) for k, v in network.trained_state().items())
    assert network.training
    assert not network.backbone.stages[0].training


def test_no_images_are_refused(task):
    with pytest.raises(InputError, match="No images"):
        predict(make_network(0), SPLIT.images[:0], task)


def test_latency_is_a_positive_time_and_leaves_the_network_as_it_was():
    network = make_network(2).train()
    before = network.trained_state()
    assert 0 < latency_ms(network, device=CPU) < 10_000
    assert all(torch.equal(v, before[k]) for k, v in network.trained_state().items())
    assert network.training


def test_a_probe_measures_training_and_prediction_without_moving_weights(task):
    network = make_network(2)
    before = network.head.weight.detach().clone()
    cost = measure_step(network, recipe(freeze_depth=2, epochs=50), device=CPU, task=task)
    assert cost.train_seconds_per_image > 0
    assert cost.evaluation_seconds_per_image > 0
    assert cost.peak_bytes is None
    assert torch.equal(network.head.weight, before)
