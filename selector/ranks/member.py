"""Any rank but the first: a process that trains its part of what it is told to."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from selector import data, tasks
from selector.errors import ConflictError, TrialFailedError
from selector.events import nobody
from selector.preflight import final_folds
from selector.ranks.orders import Failed, Order, Post, Word
from selector.records import Preprocessing, TrainingData
from selector.search.context import open_prefix_cache
from selector.search.recipe import untrained
from selector.settings import load_settings
from selector.spec import from_plain
from selector.training import (
    Portions,
    TrainingState,
    out_of_memory_fails_the_trial,
    prepare_process,
    train,
)
from selector.training.ranks import Ranks

_DIED = 1


def main(post: Post, orders: Connection) -> None:
    """Follow the orders of rank 0 until it is gone, however that came.

    Ctrl-C and SIGTERM stay away: it is rank 0 that ends this process, when it can do without.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):  # rank 0 is gone, or needs nobody any more
        try:
            _Member(post, orders).follow()
        except (EOFError, ConnectionError):
            raise
        except TrialFailedError as failure:
            orders.send(Failed(failure.cause, str(failure), time.monotonic()))
        except Exception as failure:  # noqa: BLE001 - rank 0 says what it means for the trial
            text = f"{type(failure).__name__}: {failure}\n{traceback.format_exc(limit=-5)}"
            orders.send(Failed("bug", f"rank {post.rank}: {text}", time.monotonic()))
    # Whoever waits for this rank's part hears at once that there is none. Nothing is kept here.
    os._exit(_DIED)


class _Member:
    def __init__(self, post: Post, orders: Connection) -> None:
        self._post = post
        self._orders = orders
        self._device = torch.device(post.device)
        prepare_process(post.threads)
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)
        settings, self._spec = load_settings(), from_plain(post.spec)
        dataset = data.inspect(self._spec.data, base=Path(post.folder), cache=settings.cache)
        if dataset.summary.fingerprint != post.fingerprint:
            raise ConflictError("the images changed while the run went on")
        self._folds = final_folds(self._spec, dataset)
        self._dataset = data.without_test(dataset)
        self._cache = settings.cache
        self._prefix_cache = open_prefix_cache(self._spec, settings, nobody)

    def follow(self) -> None:
        """Train trial after trial; ends with EOFError."""
        self._orders.send(Word.HERE)
        self._post.open_group()
        while True:
            order = self._orders.recv()
            assert isinstance(order, Order), order
            with out_of_memory_fails_the_trial(order.recipe, self._device):
                self._train(order)

    def _train(self, order: Order) -> None:
        task, portions = tasks.load(self._spec.task), Portions()
        begun = untrained(order.recipe, order.weights, decode=self._decoder(order), task=task)
        portions.of(order.recipe).steps.limit = order.limit
        epochs = train(
            begun.network,
            begun.data,
            order.recipe,
            device=self._device,
            task=task,
            prefix_cache=self._prefix_cache,
            keeper=_From(order.state()),
            portions=portions,
            ranks=Ranks(self._post.rank, self._post.size, meet=self._meet),
        )
        with closing(epochs):
            # After the last epoch there is none to come, and the next word is to leave.
            while self._orders.recv() is Word.NEXT:
                next(epochs, None)

    def _decoder(self, order: Order) -> Callable[[Preprocessing], TrainingData]:
        dataset = self._dataset if order.fold is None else self._folds[order.fold]
        return lambda preprocessing: data.decode(dataset, preprocessing, cache=self._cache)

    def _meet(self) -> None:
        self._orders.send(Word.HERE)
        word = self._orders.recv()
        assert word is Word.MEET, word


class _From:
    """Begins from a state, and keeps none: that is rank 0's part."""

    def __init__(self, start: TrainingState | None) -> None:
        self.start = start

    def wants(self, step: int) -> bool:
        """No."""
        del step
        return False

    def keep(self, state: TrainingState) -> None:
        """Never called."""
        del state


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(_DIED)
