"""Several trials of one small network on a device: in processes at once against one by one."""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection

import torch

from benchmarks import arms, pictures
from benchmarks.networks import TASK, network_of, recipe_of
from selector import metrics
from selector.records import TrainingData
from selector.training import prepare_process, train

F1_BOUND = 0.02


def measure(device: torch.device, options: argparse.Namespace) -> float:
    """One by one / at once in wall seconds: the median over repetitions."""
    one_by_one, at_once = arms.Times(), arms.Times()
    with _workers(options) as workers:
        scores: set[float] = set()
        for repeat in range(options.repeats):
            for arm in arms.in_turn(("one by one", "at once"), repeat):
                times = at_once if arm == "at once" else one_by_one
                groups = [workers] if arm == "at once" else [[worker] for worker in workers]
                wall, cpu, found = arms.timed_result(partial(_run, groups))
                times.add(wall, cpu)
                scores.update(found)
    arms.print_table(
        f"\nconcurrent: {options.trials} trials of {options.small} at {options.size} px on "
        f"{device.type}, {options.epochs} epochs of {options.steps} steps, {options.repeats} times "
        "(CPU seconds without the workers')",
        {"one by one": one_by_one, "at once": at_once},
    )
    same = max(scores) - min(scores) <= F1_BOUND
    print(
        f"F1 of every trial in both arms {min(scores):.4f} to {max(scores):.4f}: "
        f"same within {F1_BOUND}: {'yes' if same else 'NO'}"
    )
    if not same:
        raise SystemExit("Trials at once reach another F1 than one by one.")
    each = arms.ratios(one_by_one, at_once)
    print(f"concurrent: {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})")
    return statistics.median(each)


@contextmanager
def _workers(options: argparse.Namespace) -> Iterator[Sequence[Connection]]:
    """Processes that have trained once and wait for a word to do it again."""
    context = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA
    ours, processes = [], []
    for _ in range(options.trials):
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, options), daemon=True)
        process.start()
        there.close()  # so that a worker that dies is heard of
        ours.append(here)
        processes.append(process)
    for worker in ours:
        worker.recv()
    try:
        yield ours
    finally:
        for worker in ours:
            worker.close()
        for process in processes:
            process.join()


def _run(groups: Sequence[Sequence[Connection]]) -> list[float]:
    """Groups one after the other, the workers of a group at once; gives every trial's F1."""
    scores = []
    for group in groups:
        for worker in group:
            worker.send("train")
        scores += [float(worker.recv()) for worker in group]
    return scores


def _work(orders: Connection, options: argparse.Namespace) -> None:
    """A worker: trains once, then whenever it is told to, until nobody tells it any more."""
    prepare_process(options.threads)
    data = pictures.generated(options.steps * options.batch, size=options.size)
    _trial(data, options)
    orders.send("ready")
    while True:
        try:
            orders.recv()
        except EOFError:
            return
        orders.send(_trial(data, options))


def _trial(data: TrainingData, options: argparse.Namespace) -> float:
    """The F1 of a trial after its last epoch."""
    device = torch.device(options.device)
    recipe = recipe_of(
        options.small,
        0,
        size=options.size,
        device=device,
        batch=options.batch,
        epochs=options.epochs,
    )
    network = network_of(options.small, 0, size=options.size)
    *_, last = train(network, data, recipe, device=device, task=TASK)
    return float(metrics.from_confusion("f1_macro", last.confusion))
