"""Several processes that train one network end where one ends, up to rounding."""

from __future__ import annotations

import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from selector.training.ranks import Ranks, norms_apart, synchronise_norms

from .conftest import CPU, make_network
from .rank_programs import case, main, outcome_of

PATIENCE_SECONDS = 120.0

ALIKE = {
    "all stages, sgd": case(optimizer="sgd", augment="strong"),
    "all stages, adamw": case(
        optimizer="adamw", lr=1e-3, class_weights="balanced", label_smoothing=0.1
    ),
    "two stages, sgd": case(freeze_depth=3, optimizer="sgd", clip_norm=0.1, augment="flip"),
    "two stages, adamw": case(freeze_depth=3, optimizer="adamw", lr=1e-3, augment="light"),
    "the head, sgd": case(freeze_depth=5, optimizer="sgd"),
    "the head, adamw": case(freeze_depth=5, optimizer="adamw", lr=1e-3, augment="trivial"),
    "a last batch of two": case(batch_size=47, optimizer="sgd", class_weights="balanced"),
    "a last batch with one more": case(batch_size=24, optimizer="adamw", lr=1e-3),
    "batches for one rank alone": case(batch_size=1, samples=7, optimizer="sgd"),
    "in parts": case(optimizer="sgd", limit=3, batch_size=20),
    "a bundled backbone, sgd": case(
        backbone="bundled:mobilenet_v2", freeze_depth=3, image_size=32, samples=21, optimizer="sgd"
    ),
    "a bundled backbone, adamw": case(
        backbone="bundled:mobilenet_v2", freeze_depth=4, image_size=32, samples=21, lr=1e-4
    ),
}

TRAINED_NORMS = case(plain=False, epochs=3)
STOPPED = {"optimizer": "adamw", "lr": 1e-3, "augment": "light", "batch_size": 10}


def together(size, cases, folder):
    """What a group of so many ranks makes of the cases, one after the other."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    arguments = (size, str(folder / "rendezvous"), pickle.dumps(cases), there)
    ranks = [
        spawn.Process(target=main, args=(rank, *arguments), daemon=True) for rank in range(size)
    ]
    try:
        for rank in ranks:
            rank.start()
        there.close()
        found = []
        for _ in cases:
            assert here.poll(PATIENCE_SECONDS), "a rank hangs"
            found.append(pickle.loads(here.recv_bytes()))  # noqa: S301 - our own process
        for rank in ranks:
            rank.join(PATIENCE_SECONDS)
        assert [rank.exitcode for rank in ranks] == [0] * size
        return found
    finally:
        for rank in ranks:
            rank.kill()


@pytest.fixture(scope="module")
def stopped_alone():
    """One rank's training, kept in its second epoch."""
    return outcome_of(case(**STOPPED, keep=(2, 3)))


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.storm)])
def by_several(request, stopped_alone, tmp_path_factory):
    """What several ranks make of all cases."""
    cases = {
        **ALIKE,
        "trained norms": TRAINED_NORMS,
        "trained norms again": TRAINED_NORMS,
        "stopped": case(**STOPPED, keep=(2, 3)),
        "gone on": case(**STOPPED, start=stopped_alone.kept),
    }
    found = together(request.param, list(cases.values()), tmp_path_factory.mktemp("ranks"))
    return dict(zip(cases, found, strict=True))


def assert_alike(one, several):
    for a, b in zip(one.results, several.results, strict=True):
        assert a.epoch == b.epoch
        assert a.train_loss == pytest.approx(b.train_loss, rel=1e-4)
        assert a.lr == b.lr
    for a, b in zip(one.predictions, several.predictions, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)
    for key, tensor in one.weights.items():
        torch.testing.assert_close(several.weights[key], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", list(ALIKE))
def test_several_ranks_end_where_one_does(name, by_several):
    assert_alike(outcome_of(ALIKE[name]), by_several[name])


def test_a_rank_that_is_alone_gives_the_bits_of_ever():
    chosen = case(optimizer="adamw", plain=False, augment="strong")
    wanted, found = outcome_of(chosen), outcome_of(chosen, Ranks(0, 1))
    assert [r.train_loss for r in wanted.results] == [r.train_loss for r in found.results]
    for key, tensor in wanted.weights.items():
        assert torch.equal(found.weights[key], tensor), key


def test_trained_batch_normalisation_learns_and_repeats_itself(by_several):
    # On a CPU each rank normalises its own part, so the bits are others than one rank's.
    first, again = by_several["trained norms"], by_several["trained norms again"]
    *_, last = first.results
    assert last.train_loss < first.results[0].train_loss
    for key, tensor in first.weights.items():
        assert torch.equal(again.weights[key], tensor), key
        assert torch.isfinite(tensor.float()).all()


def test_a_trial_of_one_rank_goes_on_with_several(by_several, stopped_alone):
    assert (stopped_alone.kept.epoch, stopped_alone.kept.step) == (2, 3)
    wanted = outcome_of(case(**STOPPED, start=stopped_alone.kept))
    assert [result.epoch for result in wanted.results] == [2]
    assert_alike(wanted, by_several["gone on"])


def test_a_trial_of_several_ranks_goes_on_with_one(by_several, stopped_alone):
    found = outcome_of(case(**STOPPED, start=by_several["stopped"].kept))
    assert_alike(outcome_of(case(**STOPPED, start=stopped_alone.kept)), found)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("smallest", [1, 2])
@pytest.mark.parametrize("samples", [1, 2, 3, 4, 7, 16, 17])
def test_every_sample_of_a_batch_counts_once_and_in_order(size, smallest, samples):
    parts = [Ranks(rank, size).part(samples, smallest=smallest) for rank in range(size)]
    batch = torch.arange(samples)
    assert torch.equal(torch.cat([batch[p.rows] for p in parts if p.counts]), batch)
    sizes = [len(batch[part.rows]) for part in parts]
    assert min(sizes) >= min(samples, smallest), "a rank has nothing to compute with"
    assert {Ranks(rank, size).least(samples, smallest=smallest) for rank in range(size)} == {
        min(sizes)
    }


def test_validation_batches_are_shared_out_whole_and_in_order():
    batches = torch.split(torch.arange(150), 64)
    for size in (1, 2, 3, 5):
        shares = [Ranks(rank, size).share(batches) for rank in range(size)]
        assert torch.equal(torch.cat([x for s in shares for x in s]), torch.arange(150))
        counts = [sum(map(len, share)) for share in shares]
        assert list(Ranks(0, size).counts(batches)) == counts


def test_batch_normalisation_is_synchronised_where_torch_can():
    assert not norms_apart(make_network(5)), "none is trained"
    converted, untouched = make_network(2), make_network(2)
    synchronise_norms(converted, CPU)
    assert norms_apart(converted)
    synchronise_norms(converted, torch.device("cuda"))
    assert not norms_apart(converted)
    kinds = [type(stage[1]) for stage in converted.backbone.stages]
    assert kinds == [nn.BatchNorm2d] * 2 + [nn.SyncBatchNorm] * 3
    # What is kept of it fits the network that its recipe describes, and predicts the same.
    untouched.load_trained_state(converted.trained_state())
    images = torch.randn(4, 3, 16, 16)
    assert torch.equal(converted.eval()(images), untouched.eval()(images))
