"""A training that goes on from a state on disk ends as the one that was never stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from selector.errors import ConflictError
from selector.training import TrainingState, load_checkpoint, save_checkpoint, train
from selector.training.optim import build_optimizer
from selector.training.precision import grad_scaler
from selector.training.resume import captured, put_back

from .conftest import CPU, make_network, recipe

EPOCHS = 3
STEPS = 3  # an epoch: 49 samples in batches of 16, the last one of 17


class StoppedHere(Exception):
    pass


class StopAt:
    """Keeps the state before one step of one epoch, and stops the training there."""

    def __init__(self, epoch: int, step: int, start: TrainingState | None = None) -> None:
        self.start = start
        self.steps: list[tuple[int, int]] = []
        self._wanted = (epoch, step)
        self._epoch = start.epoch if start else 1

    def wants(self, step: int) -> bool:
        if step == 0:
            self._epoch += 1
        self.steps.append((self._epoch, step))
        return (self._epoch, step) == self._wanted

    def keep(self, state: TrainingState) -> None:
        assert (state.epoch, state.step) == self._wanted
        self.state = state
        raise StoppedHere


NEVER = (99, 99)


def seen(result, network) -> tuple:
    """All that an epoch gives, and the weights that gave it."""
    return (
        (result.epoch, result.train_loss, result.validation_loss, result.lr),
        result.log_probabilities,
        network.trained_state(),
    )


def epochs_of(keeper, data, task, **changes) -> Iterator[tuple]:
    """Train until the keeper stops it."""
    network = make_network(changes["freeze_depth"])
    chosen = recipe(epochs=EPOCHS, **changes)
    epochs = train(network, data, chosen, device=CPU, task=task, keeper=keeper)
    with closing(epochs):
        try:
            for result in epochs:
                yield seen(result, network)
        except StoppedHere:
            return


def through_disk(state: TrainingState, folder: Path) -> TrainingState:
    saved = save_checkpoint(folder / "state", state.tensors, {})
    return replace(state, tensors=load_checkpoint(saved.path, sha256=saved.sha256).tensors)


def assert_same(one: list[tuple], other: list[tuple]) -> None:
    assert [e[0] for e in one] == [e[0] for e in other]
    for (_, predicted, state), (_, other_predicted, other_state) in zip(one, other, strict=True):
        assert np.array_equal(predicted, other_predicted)
        assert state.keys() == other_state.keys()
        assert all(torch.equal(state[name], other_state[name]) for name in state)


@pytest.mark.parametrize("freeze_depth", [0, 3, 5])
@pytest.mark.parametrize("augment", ["none", "strong"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("place", [(1, 1), (2, 0), (2, 2), (3, STEPS)])
def test_a_resumed_training_gives_the_same_bits(
    place, optimizer, augment, freeze_depth, data, task, tmp_path
):
    options = {"freeze_depth": freeze_depth, "optimizer": optimizer, "augment": augment}
    whole = list(epochs_of(None, data, task, **options))
    first = StopAt(*place)
    before = list(epochs_of(first, data, task, **options))
    assert len(before) == place[0] - 1

    # Whatever else drew random numbers in the process that goes on.
    torch.manual_seed(len(before))
    second = StopAt(*NEVER, start=through_disk(first.state, tmp_path))
    after = list(epochs_of(second, data, task, **options))

    assert_same(before + after, whole)
    steps = [(epoch, step) for epoch, step in second.steps if step > 0]
    all_steps = [(e, s) for e in range(1, EPOCHS + 1) for s in range(1, STEPS + 1)]
    assert steps == [each for each in all_steps if each > place], "a step was trained again"


def test_a_training_may_be_stopped_at_every_step(data, task, tmp_path):
    options = {"freeze_depth": 2, "augment": "light", "label_smoothing": 0.1, "momentum": 0.0}
    options["optimizer"] = "sgd"
    whole = list(epochs_of(None, data, task, **options))
    state, pieces = None, []
    for place in [(e, s) for e in range(1, EPOCHS + 1) for s in range(1, STEPS + 1)]:
        keeper = StopAt(*place, start=state)
        pieces += epochs_of(keeper, data, task, **options)
        state = through_disk(keeper.state, tmp_path)
    pieces += epochs_of(StopAt(*NEVER, start=state), data, task, **options)
    assert_same(pieces, whole)


def test_time_of_an_epoch_counts_all_attempts(data, task):
    keeper = StopAt(1, 2)
    list(epochs_of(keeper, data, task, freeze_depth=0))
    assert keeper.state.seconds > 0
    late = StopAt(*NEVER, start=replace(keeper.state, seconds=1000.0))
    network = make_network(0)
    chosen = recipe(epochs=EPOCHS)
    results = list(train(network, data, chosen, device=CPU, task=task, keeper=late))
    assert results[0].seconds > 1000
    assert results[1].seconds < 1000


def test_only_the_trained_part_is_in_a_state(data, task):
    keeper = StopAt(2, 0)
    list(epochs_of(keeper, data, task, freeze_depth=4))
    parts = {name.split(".")[1] for name in keeper.state.tensors if name.startswith("network.")}
    assert parts == {"stages", "head"}
    assert not any(name.startswith("network.stages.3") for name in keeper.state.tensors)


def test_a_state_of_another_network_is_refused(data, task):
    keeper = StopAt(2, 0)
    list(epochs_of(keeper, data, task, freeze_depth=4))
    with pytest.raises(ConflictError, match="is missing"):
        list(epochs_of(StopAt(*NEVER, start=keeper.state), data, task, freeze_depth=3))


def test_the_scale_of_fp16_gradients_is_kept():
    network, chosen = make_network(0), recipe()
    optimizer = build_optimizer(network, chosen, device=CPU)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**7)
    state = captured(network, optimizer, scaler, epoch=2, step=0, seconds=0.0, within={})
    again = torch.amp.GradScaler("cpu")
    put_back(state, network, optimizer, again)
    assert again.get_scale() == 2.0**7
    # Other precisions have none, and say so.
    none = captured(
        network, optimizer, grad_scaler("fp32", CPU), epoch=2, step=0, seconds=0.0, within={}
    )
    assert none.scaler == {}


def test_moments_lie_in_memory_as_their_weights_do(data, task, tmp_path):
    keeper = StopAt(2, 0)
    list(epochs_of(keeper, data, task, freeze_depth=0))
    network, chosen = make_network(0).place(CPU), recipe()
    optimizer = build_optimizer(network, chosen, device=CPU)
    put_back(through_disk(keeper.state, tmp_path), network, optimizer, grad_scaler("fp32", CPU))
    layouts = {
        (weight.stride(), value.stride())
        for weight, values in optimizer.state.items()
        for value in values.values()
        if value.shape == weight.shape
    }
    assert len(layouts) > 3
    assert all(weight == moment for weight, moment in layouts)
