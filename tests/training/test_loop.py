"""The training loop on images that can be told apart."""

from __future__ import annotations

import gc
import itertools
import weakref
from contextlib import closing

import numpy as np
import pytest
import torch

from selector import metrics
from selector.errors import TrialFailedError
from selector.records import TrainingData
from selector.training import load_checkpoint, predict_log_probabilities, save_checkpoint, train

from .conftest import CLASSES, CPU, make_network, make_split, recipe

DEPTHS = range(6)


def run(network, data, task, **changes):
    hold_bytes = changes.pop("hold_bytes", 2**31)
    chosen = recipe(freeze_depth=network.freeze_depth, **changes)
    return list(train(network, data, chosen, device=CPU, task=task, hold_bytes=hold_bytes))


def same(first, second):
    return all(
        a.train_loss == b.train_loss and np.array_equal(a.log_probabilities, b.log_probabilities)
        for a, b in zip(first, second, strict=True)
    )


def test_epochs_are_counted_from_one_with_predictions_for_all_of_validation(data, task):
    results = run(make_network(3), data, task, epochs=3)
    assert [r.epoch for r in results] == [1, 2, 3]
    for result in results:
        assert result.log_probabilities.shape == (30, 3)
        assert result.log_probabilities.dtype == np.float32
        assert result.seconds > 0
        wanted = metrics.compute("log_loss", data.validation.labels, result.log_probabilities)
        assert result.validation_loss == pytest.approx(wanted)


@pytest.mark.parametrize("freeze_depth", [0, 2, 3])
def test_separable_images_are_learned(freeze_depth, data, task):
    results = run(make_network(freeze_depth), data, task, epochs=10, lr=0.02)
    score = metrics.compute("f1_macro", data.validation.labels, results[-1].log_probabilities)
    assert score > 0.9


@pytest.mark.parametrize("name", ["flip", "light", "trivial", "strong"])
def test_separable_images_are_learned_under_augmentation(name, data, task):
    # A mirrored image still has its bright side somewhere: "left" stands against "top".
    results = run(make_network(0), data, task, epochs=12, lr=0.02, augment=name)
    score = metrics.compute("f1_macro", data.validation.labels, results[-1].log_probabilities)
    assert score > (0.9 if name in ("flip", "light") else 0.6)


def test_sgd_learns_too(data, task):
    results = run(make_network(0), data, task, epochs=10, lr=0.1, optimizer="sgd")
    score = metrics.compute("f1_macro", data.validation.labels, results[-1].log_probabilities)
    assert score > 0.9


@pytest.mark.parametrize("freeze_depth", DEPTHS)
@pytest.mark.parametrize("augment", ["none", "strong"])
def test_frozen_stages_are_bit_identical_after_training_and_the_rest_moves(
    freeze_depth, augment, data, task
):
    network, untouched = make_network(freeze_depth), make_network(freeze_depth)
    run(network, data, task, augment=augment)
    pairs = zip(network.backbone.stages, untouched.backbone.stages, strict=True)
    for number, (stage, before) in enumerate(pairs):
        states = zip(stage.state_dict().items(), before.state_dict().values(), strict=True)
        for (name, tensor), old in states:
            if number < freeze_depth:
                assert torch.equal(tensor, old), f"stages.{number}.{name}"
            elif tensor.is_floating_point():
                assert not torch.equal(tensor, old), f"stages.{number}.{name}"


@pytest.mark.parametrize(("freeze_depth", "augment"), [(0, "none"), (0, "strong"), (4, "trivial")])
def test_same_seed_gives_the_same_bits_whatever_else_was_drawn(freeze_depth, augment, data, task):
    torch.manual_seed(1)
    first = run(make_network(freeze_depth), data, task, augment=augment)
    torch.manual_seed(2)
    second = run(make_network(freeze_depth), data, task, augment=augment)
    assert same(first, second)


@pytest.mark.parametrize("augment", ["none", "light"])
def test_another_seed_gives_another_training(augment, data, task):
    results = [run(make_network(0), data, task, augment=augment, seed=seed) for seed in (0, 1)]
    assert results[0][0].train_loss != results[1][0].train_loss


def test_training_leaves_the_callers_random_numbers_alone(data, task):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    run(make_network(0), data, task)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("freeze_depth", [1, 3, 5])
def test_held_outputs_of_the_frozen_stages_train_as_computed_ones(freeze_depth, data, task):
    held = run(make_network(freeze_depth), data, task)
    computed = run(make_network(freeze_depth), data, task, hold_bytes=0)
    for a, b in zip(held, computed, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, abs=1e-5)
        np.testing.assert_allclose(a.log_probabilities, b.log_probabilities, atol=1e-4)


def test_best_epochs_checkpoint_gives_its_stored_predictions_exactly(data, task, tmp_path):
    network = make_network(2)
    chosen = recipe(freeze_depth=2, epochs=4, lr=0.05)
    best = None
    with closing(train(network, data, chosen, device=CPU, task=task)) as epochs:
        for result in epochs:
            if best is None or result.validation_loss < best.validation_loss:
                best = result
                saved = save_checkpoint(tmp_path / "best", network.trained_state(), {})
    again = make_network(2)
    again.load_trained_state(load_checkpoint(saved.path).tensors)
    predictions = predict_log_probabilities(
        again, data.validation, again.backbone.preprocessing, task=task, device=CPU
    )
    assert np.array_equal(predictions, best.log_probabilities)


def test_training_closed_early_frees_its_tensors(data, task):
    network = make_network(3)
    epochs = train(network, data, recipe(freeze_depth=3), device=CPU, task=task)
    with closing(epochs):
        next(epochs)
        held = weakref.ref(epochs.gi_frame.f_locals["sources"].validation)
    del epochs
    gc.collect()
    assert held() is None
    assert network.trained_parameter_count() > 0


@pytest.mark.parametrize("freeze_depth", [0, 3])
def test_diverging_training_stops_at_once(freeze_depth, data, task):
    network = make_network(freeze_depth)
    changes = {"lr": 1e38, "optimizer": "sgd", "clip_norm": 0.0, "warmup_epochs": 0.0}
    with pytest.raises(
        TrialFailedError, match=r"training loss is not finite in epoch 1 at lr 1e\+38"
    ) as caught:
        run(network, data, task, **changes)
    assert caught.value.cause == "non_finite"


def test_weights_broken_by_the_last_step_never_reach_a_result(data, task):
    with pytest.raises(TrialFailedError, match="validation predictions are not finite in epoch 1"):
        run(
            make_network(5),
            data,
            task,
            batch_size=64,
            lr=1e39,
            optimizer="sgd",
            warmup_epochs=0.0,
        )


def test_memory_running_out_fails_the_trial_and_names_what_to_change(data, task):
    class Greedy(type(task)):
        def loss(self, logits, targets, **options):
            raise torch.OutOfMemoryError("no memory left")

    with pytest.raises(TrialFailedError, match=r"toy:cnn: out of memory.*batch size 16") as caught:
        run(make_network(0), data, Greedy())
    assert caught.value.cause == "oom"


def test_learning_rate_warms_up_and_ends_near_zero(data, task):
    results = run(make_network(5), data, task, epochs=4, warmup_epochs=1.0)
    rates = [r.lr for r in results]
    assert rates[0] == pytest.approx(0.01)
    assert all(a > b for a, b in itertools.pairwise(rates))
    assert rates[-1] < 0.001


@pytest.mark.parametrize("batch_size", [7, 16, 1000])
def test_every_batch_size_trains_with_batch_normalisation(batch_size, data, task):
    # 49 samples: 7 divides them, 16 leaves one over, 1000 takes all.
    results = run(make_network(0), data, task, batch_size=batch_size)
    assert np.isfinite(results[-1].train_loss)


def test_balanced_class_weights_help_the_rare_class(task):
    split = make_split(60, seed=3)
    keep = np.flatnonzero((split.labels != 2) | (np.arange(60) < 8))
    rare = type(split)(split.images[keep], split.labels[keep], tuple("x" for _ in keep))
    data = TrainingData(rare, make_split(30, seed=4), CLASSES)
    recalls = [
        float(
            np.exp(run(make_network(5), data, task, class_weights=w)[-1].log_probabilities)[
                :, 2
            ].mean()
        )
        for w in ("none", "balanced")
    ]
    assert recalls[1] > recalls[0]


def test_label_smoothing_keeps_the_training_loss_up(data, task):
    sharp, smooth = (
        run(make_network(3), data, task, epochs=6, lr=0.02, label_smoothing=amount)[-1]
        for amount in (0.0, 0.3)
    )
    assert smooth.train_loss > sharp.train_loss + 0.1


def test_clipping_bounds_the_length_of_a_step(data, task):
    network = make_network(5)
    before = network.trained_state()
    options = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    run(
        network,
        data,
        task,
        epochs=1,
        batch_size=64,
        lr=1.0,
        clip_norm=1e-3,
        warmup_epochs=0.0,
        **options,
    )
    after = network.trained_state()
    length = sum(float(((after[k] - before[k]) ** 2).sum()) for k in after) ** 0.5
    assert 0.5e-3 < length < 1.01e-3
