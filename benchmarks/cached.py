"""A study's trials without and with the prefix cache, against what the stages' costs allow.

    python -m benchmarks.cached

Three arms train the same list of trials, in turn, trial by trial: `computed` runs the frozen stages
on every batch of every epoch, `held` once in each trial, `cached` once for all trials. The bound is
computed / cached as it would be if nothing but the stages themselves took time. Target: the cache
attains at least 0.8 of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import arms, pictures
from selector import backbones, metrics, tasks
from selector.backbones import STAGES
from selector.records import Floats, Recipe, TrainingData
from selector.training import Network, measure_step, prepare_process, train
from selector.training.batches import sequential_batches
from selector.training.cache import PrefixCache
from selector.training.images import Images
from selector.training.prefix import FILL_BATCH, HOLD_BYTES, ComputedPrefix

CPU = torch.device("cpu")
QUOTA_BYTES = 50 * 10**9
ARMS = ("computed", "held", "cached")
LRS = (1e-3, 3e-4)
TASK = tasks.load("image_classification")
COST_REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """Seconds of a backbone at one freeze depth, per image, and of building it, per trial."""

    prefix: float
    suffix_training: float
    suffix_evaluation: float
    build: float


def main() -> None:
    """Measure, check and print."""
    options = _options()
    prepare_process(options.threads)
    print(arms.machine())
    trials = trial_list(options)
    data = {name: _data(name, options) for name in options.backbones}
    for recipe in {recipe.backbone: recipe for recipe in trials}.values():
        _warm_up(recipe, data[recipe.backbone])
    totals = {arm: arms.Times() for arm in ARMS}
    for repeat in range(options.repeats):
        scores = _run(trials, data, totals, repeat=repeat, folder=options.folder)
        _check(scores)
    first = data[options.backbones[0]]
    arms.print_table(
        f"\n{len(trials)} trials of {options.epochs} epochs, {len(first.train.labels)} + "
        f"{len(first.validation.labels)} images at {options.size} px, {options.repeats} times",
        totals,
    )
    attained = arms.ratios(totals["computed"], totals["cached"])
    from_held = arms.ratios(totals["held"], totals["cached"])
    bound = _bound(trials, data)
    print(f"computed / cached: {_spread(attained)}; bound {bound:.2f}")
    print(f"held / cached: {_spread(from_held)}")
    print(f"ratio: {statistics.median(attained) / bound:.2f}")


def trial_list(options: argparse.Namespace) -> Sequence[Recipe]:
    """The fixed list: every backbone at every freeze depth, at two learning rates."""
    trials = [
        Recipe(
            backbone=name,
            lr=lr,
            freeze_depth=depth,
            batch_size=32,
            image_size=options.size,
            epochs=options.epochs,
        )
        for lr in LRS
        for depth in range(STAGES + 1)
        for name in options.backbones
    ]
    return trials[: options.trials]


def _run(
    trials: Sequence[Recipe],
    data: Mapping[str, TrainingData],
    totals: Mapping[str, arms.Times],
    *,
    repeat: int,
    folder: str | None,
) -> Mapping[str, list[Floats]]:
    """All trials once in each arm; gives the last predictions of each trial, by arm."""
    seconds = {arm: np.zeros(2) for arm in ARMS}
    predictions: dict[str, list[Floats]] = {arm: [] for arm in ARMS}
    depths = frozenset(recipe.freeze_depth for recipe in trials)
    with tempfile.TemporaryDirectory(dir=folder) as cache_folder:
        cache = PrefixCache(
            Path(cache_folder), quota_bytes=QUOTA_BYTES, depths=dict.fromkeys(data, depths)
        )
        for number, recipe in enumerate(trials):
            for arm in arms.in_turn(ARMS, repeat + number):
                kept = predictions[arm]
                wall, cpu, result = arms.timed_result(
                    partial(_train, recipe, data[recipe.backbone], arm=arm, cache=cache)
                )
                kept.append(result)
                seconds[arm] += (wall, cpu)
    for arm in ARMS:
        totals[arm].add(*seconds[arm])
    labels = {recipe.backbone: data[recipe.backbone].validation.labels for recipe in trials}
    print(f"\nrepetition {repeat + 1}: best F1 of the list by arm:", end="")
    for arm in ARMS:
        best = max(
            metrics.compute("f1_macro", labels[recipe.backbone], each)
            for recipe, each in zip(trials, predictions[arm], strict=True)
        )
        print(f" {arm} {best:.4f}", end="")
    print()
    return predictions


def _warm_up(recipe: Recipe, data: TrainingData) -> None:
    """One epoch that nobody times: the first one also loads libraries."""
    once = dataclasses.replace(recipe, epochs=1)
    list(train(_network(once), data, once, device=CPU, task=TASK))


def _train(recipe: Recipe, data: TrainingData, *, arm: str, cache: PrefixCache) -> Floats:
    epochs = train(
        _network(recipe),
        data,
        recipe,
        device=CPU,
        task=TASK,
        hold_bytes=0 if arm == "computed" else HOLD_BYTES,
        prefix_cache=cache if arm == "cached" else None,
    )
    return list(epochs)[-1].log_probabilities


def _check(predictions: Mapping[str, list[Floats]]) -> None:
    """Cached and held agree to the bit; computing in other batches moves the last bits."""
    pairs = zip(predictions["held"], predictions["cached"], strict=True)
    same = all(np.array_equal(one, other) for one, other in pairs)
    others = zip(predictions["computed"], predictions["cached"], strict=True)
    moved = max(float(np.abs(np.exp(one) - np.exp(other)).max()) for one, other in others)
    print(f"held and cached: same bits: {'yes' if same else 'NO'}")
    print(f"computed and cached: probabilities differ by at most {moved:.1e}")
    if not same:
        raise SystemExit("A cached trial predicts something else.")


def _bound(trials: Sequence[Recipe], data: Mapping[str, TrainingData]) -> float:
    """computed / cached of the list, from the stages' costs alone."""
    costs = {
        (r.backbone, r.freeze_depth): _cost(r, data[r.backbone])
        for r in {(r.backbone, r.freeze_depth): r for r in trials}.values()
    }
    without = with_cache = 0.0
    for recipe in trials:
        cost = costs[recipe.backbone, recipe.freeze_depth]
        n, m = _counts(data[recipe.backbone])
        suffix = recipe.epochs * (n * cost.suffix_training + m * cost.suffix_evaluation)
        without += cost.build + suffix + recipe.epochs * (n + m) * cost.prefix
        with_cache += cost.build + suffix
    for name, of_backbone in data.items():
        deepest = max((r.freeze_depth for r in trials if r.backbone == name), default=0)
        if deepest:
            with_cache += sum(_counts(of_backbone)) * costs[name, deepest].prefix
    return without / with_cache


def _cost(recipe: Recipe, data: TrainingData) -> Cost:
    """What the parts cost, each the least of several: the bound is what could be reached."""
    found = []
    for _ in range(COST_REPEATS):
        build, _ = arms.timed(partial(_network, recipe))
        network = _network(recipe).place(CPU)
        images = Images(data.train.images, network.backbone.preprocessing, CPU)
        computed = ComputedPrefix(network, images, "fp32", CPU)
        prefix = 0.0
        if recipe.freeze_depth:
            prefix = arms.timed(partial(_pass, computed))[0] / len(images)
        step = measure_step(network, recipe, device=CPU, task=TASK)
        evaluation = max(0.0, step.evaluation_seconds_per_image - prefix)
        found.append(Cost(prefix, step.train_seconds_per_image, evaluation, build))
    return Cost(*(min(column) for column in zip(*map(dataclasses.astuple, found), strict=True)))


def _pass(computed: ComputedPrefix) -> None:
    for indices in sequential_batches(len(computed.images), FILL_BATCH):
        computed.features(indices)


def _network(recipe: Recipe) -> Network:
    backbone = backbones.load(recipe.backbone, image_size=recipe.image_size, seed=recipe.seed)
    head = TASK.head(backbone.feature_dim, pictures.CLASSES, seed=recipe.seed)
    return Network(backbone, head, freeze_depth=recipe.freeze_depth)


def _counts(data: TrainingData) -> tuple[int, int]:
    return len(data.train.labels), len(data.validation.labels)


def _data(name: str, options: argparse.Namespace) -> TrainingData:
    if options.data is None:
        return pictures.generated(options.images, size=options.size)
    preprocessing = backbones.load(name, image_size=options.size).preprocessing
    return pictures.from_folder(Path(options.data), preprocessing)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="an ImageFolder tree of at most 8 classes; else generated")
    parser.add_argument("--images", type=int, default=981, help="generated training pictures")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", help="where the cache lies, for the disk that matters")
    parser.add_argument(
        "--backbones",
        nargs="+",
        default=["bundled:efficientnet_lite0", "bundled:mobilenet_v2"],
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
