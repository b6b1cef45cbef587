"""Batches on their way to the device: read ahead by a thread, bounded, and gone with the epoch."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import closing

import numpy as np
import pytest
import torch

from selector.data.normalize import normalize
from selector.training import images, train
from selector.training.batches import sequential_batches
from selector.training.cache import PrefixCache
from selector.training.images import Images
from selector.training.mapped import MappedRows
from selector.training.prefix import HOLD_BYTES
from selector.training.rows import Layout, StoredPrefix
from selector.training.transfer import AHEAD, deliver, send

from .conftest import CPU, make_network, make_split, recipe

ROWS = torch.arange(200.0).view(40, 5)
BATCHES = sequential_batches(40, 3)
NEEDS_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def reading_threads():
    return [t for t in threading.enumerate() if t.name.startswith("read-ahead")]


def take(indices):
    return ROWS[indices]


@pytest.fixture
def always_ahead(monkeypatch):
    """Rows of files are read ahead, as for a GPU."""
    monkeypatch.setattr(MappedRows, "prefetched", True)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("count", [0, 1, AHEAD, AHEAD + 1, len(BATCHES)])
def test_batches_come_whole_and_in_order(ahead, count):
    chosen = BATCHES[:count]
    got = list(deliver(take, chosen, device=CPU, ahead=ahead))
    assert len(got) == count
    assert all(torch.equal(a, take(b)) for a, b in zip(got, chosen, strict=True))
    assert not reading_threads()


def test_the_next_batch_is_read_while_one_is_used():
    read = threading.Event()

    def watched(indices):
        if int(indices[0]) > 0:
            read.set()
        return take(indices)

    with closing(deliver(watched, BATCHES, device=CPU, ahead=True)) as stream:
        next(stream)
        assert read.wait(timeout=10)


def test_no_more_than_the_bound_is_read_ahead():
    seen = []

    def watched(indices):
        seen.append(indices)
        return take(indices)

    with closing(deliver(watched, BATCHES, device=CPU, ahead=True)) as stream:
        for used, _ in enumerate(stream, start=1):
            assert len(seen) <= used + AHEAD
    assert len(seen) == len(BATCHES)


def test_an_epoch_left_early_ends_its_thread():
    with closing(deliver(take, BATCHES, device=CPU, ahead=True)) as stream:
        next(stream)
        assert reading_threads()
    assert not reading_threads()


def test_a_read_that_fails_fails_where_its_batch_is_used():
    def broken(indices):
        if int(indices[0]) > 0:
            raise OSError("the disk is gone")
        return take(indices)

    stream = deliver(broken, BATCHES, device=CPU, ahead=True)
    assert torch.equal(next(stream), take(BATCHES[0]))
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert not reading_threads()


def test_on_a_cpu_nothing_is_copied():
    assert send(ROWS, CPU) is ROWS


def test_pixels_and_stored_rows_are_read_ahead_alike(always_ahead):
    split, network = make_split(40, seed=0), make_network(0)
    pixels = Images(split.images, network.backbone.preprocessing, CPU)
    rows = StoredPrefix((MappedRows(ROWS, True, False),), Layout((5,), (1,)), CPU)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).split(7)
    for stream, wanted in (
        (pixels.stream(order), pixels.batch),
        (rows.stream(order), rows.features),
    ):
        for number, (got, indices) in enumerate(zip(stream, order, strict=True)):
            assert reading_threads() or number + AHEAD + 1 >= len(order)
            assert torch.equal(got, wanted(indices))
    assert not reading_threads()


@pytest.mark.parametrize("augment", ["none", "flip", "strong"])
@pytest.mark.parametrize("freeze_depth", [0, 3])
def test_reading_ahead_changes_no_bit_of_training(augment, freeze_depth, data, task, monkeypatch):
    def run():
        chosen = recipe(freeze_depth=freeze_depth, augment=augment)
        network = make_network(freeze_depth)
        return list(train(network, data, chosen, device=CPU, task=task, hold_bytes=HOLD_BYTES))

    plain = run()
    monkeypatch.setattr(MappedRows, "prefetched", True)
    for one, other in zip(plain, run(), strict=True):
        assert one.train_loss == other.train_loss
        assert np.array_equal(one.log_probabilities, other.log_probabilities)
    assert not reading_threads()


def test_a_trial_that_fails_in_an_epoch_leaves_no_thread(always_ahead, data, task):
    class Broken(type(task)):
        def loss(self, logits, targets, **options):
            raise ValueError("no loss")

    epochs = train(make_network(0), data, recipe(), device=CPU, task=Broken())
    with closing(epochs), pytest.raises(ValueError, match="no loss"):
        next(epochs)
    assert not reading_threads()


def test_a_trial_on_stored_outputs_places_no_pixels(data, task, tmp_path, monkeypatch):
    placed = []
    original = images.place_rows
    monkeypatch.setattr(images, "place_rows", lambda *a, **o: placed.append(1) or original(*a, **o))
    named = dataclasses.replace(
        data,
        train=dataclasses.replace(data.train, content="train"),
        validation=dataclasses.replace(data.validation, content="validation"),
    )

    def run():
        cache = PrefixCache(tmp_path, quota_bytes=10**9, admit=lambda _: True)
        chosen = recipe(freeze_depth=3)
        network = make_network(3)
        list(train(network, named, chosen, device=CPU, task=task, prefix_cache=cache))
        return len(placed)

    assert run() == 2
    assert run() == 2


@pytest.mark.parametrize("fits", [pytest.param(f, marks=NEEDS_GPU) for f in (True, False)])
def test_a_gpu_gets_the_same_pixels_resident_or_sent(fits, monkeypatch):
    cuda, split = torch.device("cuda"), make_split(40, seed=0)
    monkeypatch.setattr(images, "RESIDENT_SHARE", 1.0 if fits else 0.0)
    preprocessing = make_network(0).backbone.preprocessing
    source = Images(split.images, preprocessing, cuda)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).split(7)
    for got, indices in zip(source.stream(order), order, strict=True):
        wanted = normalize(torch.from_numpy(split.images[indices.numpy()]).to(cuda), preprocessing)
        assert got.device.type == "cuda"
        assert torch.equal(got, wanted)
