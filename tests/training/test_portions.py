"""Batches that memory has no room for: trained in parts, as if they had gone through at once."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from torch import nn

from selector.errors import TrialFailedError
from selector.training import Portions, predict_log_probabilities, train, trains_batch_norm
from selector.training.portions import Portion, in_portions

from .conftest import CPU, make_network, recipe

ERRORS = (torch.OutOfMemoryError("CUDA out of memory."), MemoryError())


def plain_network(freeze_depth):
    """The toy network with layers that treat every sample by itself, and draw nothing."""
    network = make_network(freeze_depth)
    for stage in network.backbone.stages[freeze_depth:]:
        stage[1] = nn.GroupNorm(4, stage[1].num_features)
        stage[3] = nn.Identity()
    return network


class Memory:
    """A device with room for `room` samples at once, in training or where outputs are computed.

    It runs out late: behind the last layer, or on the way back in the first trained one.
    """

    def __init__(self, network, room, *, training=True, where="forward", error=ERRORS[0]):
        self.refused = []
        self._room, self._training, self._error = room, training, error
        self._network = network
        if where == "forward":
            network.head.register_forward_pre_hook(lambda _, inputs: self._require(inputs[0]))
        else:
            first = network.backbone.stages[network.freeze_depth]
            first.register_full_backward_pre_hook(lambda _, grads: self._require(grads[0]))

    def _require(self, batch):
        if self._network.training == self._training and len(batch) > self._room:
            self.refused.append(len(batch))
            raise self._error


def run(network, data, task, *, portions=None, keeper=None, **changes):
    chosen = recipe(freeze_depth=network.freeze_depth, **changes)
    epochs = train(network, data, chosen, device=CPU, task=task, portions=portions, keeper=keeper)
    with closing(epochs):
        return list(epochs)


def limited(limit, **changes):
    """What a worker knows that has met such a limit before."""
    portions = Portions()
    portions.of(recipe(**changes)).steps.limit = limit
    return portions


def assert_same_bits(first, second):
    for name, tensor in first.trained_state().items():
        assert torch.equal(tensor, second.trained_state()[name]), name


def test_parts_are_few_nearly_equal_and_none_too_small():
    assert Portion().sizes(33) == (33,)
    assert Portion(16).sizes(33) == (11, 11, 11)
    assert Portion(16).sizes(17) == (9, 8)
    assert Portion(1).sizes(3) == (1, 1, 1)
    assert Portion(2).sizes(5, smallest=2) == (3, 2)
    assert Portion(2).sizes(1, smallest=2) == (1,)


def test_a_limit_is_halved_until_the_smallest():
    portion = Portion()
    assert [portion.halve(n) for n in (17, 8, 4, 2, 1)] == [True, True, True, True, False]
    assert portion.limit == 1
    assert not Portion(3).halve(3, smallest=2)


@pytest.mark.parametrize("room", [16, 17])
def test_a_batch_that_fits_is_trained_as_ever(room, data, task):
    # 49 samples: three batches, the last of which takes one more.
    free, bounded = make_network(0), make_network(0)
    memory = Memory(bounded, room)
    run(free, data, task, batch_size=16)
    (*_, last) = run(bounded, data, task, batch_size=16)
    assert memory.refused == ([17] if room == 16 else [])
    if room == 17:
        assert last.micro_batch is None
        assert_same_bits(free, bounded)


@pytest.mark.parametrize(
    ("freeze_depth", "room", "where"), [(0, 3, "forward"), (3, 1, "backward"), (3, 8, "forward")]
)
@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "class_weights": "balanced", "label_smoothing": 0.1},
        {"optimizer": "sgd", "clip_norm": 0.1, "batch_size": 13, "augment": "light"},
    ],
)
def test_parts_of_a_batch_give_the_step_of_the_whole(
    freeze_depth, room, where, changes, data, task
):
    whole, parts = plain_network(freeze_depth), plain_network(freeze_depth)
    memory = Memory(parts, room, where=where)
    wanted = run(whole, data, task, **changes)
    found = run(parts, data, task, **changes)
    assert memory.refused
    assert found[-1].micro_batch <= room
    for a, b in zip(wanted, found, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, rel=1e-4)
        assert a.lr == b.lr
        np.testing.assert_allclose(a.log_probabilities, b.log_probabilities, atol=1e-3)
    for name, tensor in whole.trained_state().items():
        torch.testing.assert_close(parts.trained_state()[name], tensor, atol=1e-4, rtol=1e-3)


def test_scaled_gradients_of_parts_are_those_of_the_whole(data, task):
    changes = {"precision": "fp16", "optimizer": "sgd", "epochs": 1}
    whole, parts = plain_network(3), plain_network(3)
    Memory(parts, 4)
    (wanted,) = run(whole, data, task, **changes)
    (found,) = run(parts, data, task, **changes)
    assert found.micro_batch == 4
    np.testing.assert_allclose(wanted.log_probabilities, found.log_probabilities, atol=0.02)


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_step_that_failed_half_way_leaves_nothing_behind(where, data, task):
    # Batch normalisation and dropout: what is not put back shows in statistics and weights.
    failed, known = make_network(0), make_network(0)
    memory = Memory(failed, 4, where=where)
    found = run(failed, data, task, augment="strong")
    wanted = run(known, data, task, augment="strong", portions=limited(4))
    assert memory.refused == [16, 8]
    assert (found[0].micro_batch, wanted[0].micro_batch) == (4, 4)
    assert [r.train_loss for r in found] == [r.train_loss for r in wanted]
    assert_same_bits(failed, known)


def test_adaptive_moments_see_one_gradient_a_step(data, task):
    failed, known = plain_network(2), plain_network(2)
    Memory(failed, 4, where="backward")
    run(failed, data, task, optimizer="adamw")
    run(known, data, task, optimizer="adamw", portions=limited(4, freeze_depth=2))
    assert_same_bits(failed, known)


@pytest.mark.parametrize("error", ERRORS)
def test_where_not_even_one_sample_fits_the_trial_fails(error, data, task):
    network, untouched = plain_network(0), plain_network(0)
    memory = Memory(network, 0, error=error)
    with pytest.raises(TrialFailedError, match="batch size 16 in parts of 1, image") as caught:
        run(network, data, task)
    assert caught.value.cause == "oom"
    assert memory.refused == [16, 8, 4, 2, 1]
    assert_same_bits(network, untouched)


def test_batch_normalisation_is_never_trained_on_one_sample(data, task):
    network = make_network(0)
    assert trains_batch_norm(network)
    assert not trains_batch_norm(make_network(5))
    memory = Memory(network, 1)
    with pytest.raises(TrialFailedError, match="in parts of 2"):
        run(network, data, task)
    assert memory.refused == [16, 8, 4, 2]


def test_other_errors_are_not_repeated(data, task):
    network = make_network(0)
    memory = Memory(network, 8, error=RuntimeError("expected scalar type Half"))
    with pytest.raises(RuntimeError, match="scalar type"):
        run(network, data, task)
    assert memory.refused == [16]


def test_the_wall_is_met_once_in_a_worker(data, task):
    portions = Portions()
    for batch_size, wanted in ((16, [16, 8, 4]), (16, []), (32, [32, 16, 8, 4])):
        network = plain_network(3)
        memory = Memory(network, 3)
        results = run(network, data, task, portions=portions, batch_size=batch_size)
        assert memory.refused == wanted
        assert [r.micro_batch for r in results] == [2, 2]


@pytest.mark.parametrize("freeze_depth", [0, 2, 5])
def test_outputs_are_computed_in_parts_too(freeze_depth, data, task):
    free, bounded = make_network(freeze_depth), make_network(freeze_depth)
    memory = Memory(bounded, 7, training=False)
    portions = Portions()
    wanted = run(free, data, task)
    found = run(bounded, data, task, portions=portions)
    # 30 validation samples: once, and no more in the second epoch.
    assert memory.refused == [30, 15]
    assert [r.micro_batch for r in found] == [None, None]
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(a.log_probabilities, b.log_probabilities, atol=1e-5)


@pytest.mark.parametrize("augment", ["none", "strong"])
@pytest.mark.parametrize("hold_bytes", [0, 2**30])
def test_frozen_stages_run_in_parts_too(augment, hold_bytes, data, task):
    chosen = recipe(freeze_depth=3, augment=augment, epochs=1)
    results = []
    for room in (1000, 5):
        network = make_network(3)
        network.backbone.stages[0].register_forward_pre_hook(refuse_over(room))
        epochs = train(network, data, chosen, device=CPU, task=task, hold_bytes=hold_bytes)
        with closing(epochs):
            results += list(epochs)
    assert results[0].train_loss == pytest.approx(results[1].train_loss, rel=1e-4)
    assert results[1].micro_batch is None


def refuse_over(room):
    def require(_, inputs):
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    return require


def test_predictions_are_made_in_parts(data, task):
    network = make_network(2)
    wanted = predict_log_probabilities(
        network, data.validation, network.backbone.preprocessing, task=task, device=CPU
    )
    for layer in (network.backbone.stages[0], network.head):
        layer.register_forward_pre_hook(refuse_over(8))
    found = predict_log_probabilities(
        network, data.validation, network.backbone.preprocessing, task=task, device=CPU
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_fits_no_more_in_any_part_is_raised_as_it_came():
    def full(batch):
        raise torch.OutOfMemoryError(f"no room for {len(batch)}")

    with pytest.raises(torch.OutOfMemoryError, match="no room for 1"):
        in_portions(full, torch.zeros(6, 2), Portion())


class OneState:
    """Keeps the state after one step, and begins from one."""

    def __init__(self, step=None, start=None):
        self.start, self.kept, self._step = start, None, step

    def wants(self, step):
        return self.kept is None and step == self._step

    def keep(self, state):
        self.kept = state


def test_a_trial_goes_on_in_the_parts_in_which_it_was_trained(data, task):
    # The worker that goes on has more memory, and must not use it: the last bits depend on it.
    whole, again = make_network(0), make_network(0)
    Memory(whole, 4)
    keeper = OneState(step=2)
    wanted = run(whole, data, task, keeper=keeper)
    found = run(again, data, task, keeper=OneState(start=keeper.kept))
    assert keeper.kept.micro_batch == 4
    assert [r.micro_batch for r in found] == [4, 4]
    assert [r.train_loss for r in found] == [r.train_loss for r in wanted]
    assert_same_bits(whole, again)
