"""Linear probes of one backbone, trained one by one and side by side.

    python -m benchmarks.heads
    python -m benchmarks.heads --device cuda

Both arms read the frozen outputs from one filled prefix cache, and both give every trial's
predictions and weights after every epoch; so only the work of training differs. Target: at least
4 times less wall time on a CPU, 10 times on a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import arms, pictures
from selector import backbones, metrics, tasks
from selector.backbones import Backbone
from selector.records import EpochResult, Recipe, TrainingData
from selector.tasks.base import StackedTask
from selector.training import Network, precision, prepare_process, train
from selector.training.cache import CutCost, PrefixCache
from selector.training.heads import HeadEpoch, HeadStack

QUOTA_BYTES = 10**9
Ends = Mapping[Recipe, EpochResult]


def main() -> None:
    """Measure, check and print."""
    options = _options()
    prepare_process(options.threads)
    device = torch.device(options.device)
    gpu = f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    print(arms.machine() + gpu)
    measured = [_measure(name, device, options) for name in options.backbones]
    print(f"ratio: {statistics.fmean(measured):.2f}")


def _measure(name: str, device: torch.device, options: argparse.Namespace) -> float:
    """Seconds one by one over seconds together: the median over repetitions."""
    data = _data(name, options)
    recipes = _recipes(name, device, options)
    times = {"one by one": arms.Times(), "together": arms.Times()}
    ends: dict[str, Ends] = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = PrefixCache(Path(folder), quota_bytes=QUOTA_BYTES, admit=_everything)
        work = {
            "one by one": lambda: _alone(recipes, data, device, cache, options),
            "together": lambda: _together(recipes, data, device, cache, options),
        }
        for arm in work.values():  # fills the cache and loads libraries
            arm()
        for repeat in range(options.repeats):
            for name_of_arm in arms.in_turn(tuple(work), repeat):
                wall, cpu, ends[name_of_arm] = arms.timed_result(work[name_of_arm])
                times[name_of_arm].add(wall, cpu)
    arms.print_table(
        f"\n{len(recipes)} probes of {name}, {len(data.train.labels)} images, "
        f"{len(data.class_names)} classes, {options.epochs} epochs, batches of "
        f"{options.batch_size}, {recipes[0].precision}, {options.repeats} times",
        times,
    )
    per_repeat = arms.ratios(times["one by one"], times["together"])
    print(f"one by one / together: {min(per_repeat):.2f} to {max(per_repeat):.2f}")
    _check(ends["one by one"], ends["together"], data, options)
    return statistics.median(per_repeat)


def _alone(
    recipes: Sequence[Recipe],
    data: TrainingData,
    device: torch.device,
    cache: PrefixCache,
    options: argparse.Namespace,
) -> Ends:
    task, ends = tasks.load("image_classification"), {}
    for recipe in recipes:
        network = _network(recipe, data, options)
        for result in train(network, data, recipe, device=device, task=task, prefix_cache=cache):
            network.trained_state()  # which a search keeps of the best epoch
            ends[recipe] = result
    return ends


def _together(
    recipes: Sequence[Recipe],
    data: TrainingData,
    device: torch.device,
    cache: PrefixCache,
    options: argparse.Namespace,
) -> Ends:
    task = tasks.load("image_classification")
    assert isinstance(task, StackedTask)
    network = _network(recipes[0], data, options)
    stack = HeadStack(network, data, recipes, device=device, task=task, prefix_cache=cache)
    epochs = [stack.next_epoch() for _ in range(options.epochs)]
    return {r: end.result for r, end in epochs[-1].items() if isinstance(end, HeadEpoch)}


def _check(alone: Ends, together: Ends, data: TrainingData, options: argparse.Namespace) -> None:
    """Every trial reaches the same F1 in both arms, and its probabilities agree."""
    labels = data.validation.labels
    differences, scores = [], []
    for recipe, end in alone.items():
        pair = (end.log_probabilities, together[recipe].log_probabilities)
        differences.append(float(np.abs(np.exp(pair[0]) - np.exp(pair[1])).max()))
        scores.append([metrics.compute("f1_macro", labels, each) for each in pair])
    best = np.max(scores, axis=0)
    largest = max(differences)
    print(f"best F1 one by one {best[0]:.4f}, together {best[1]:.4f}")
    print(f"largest difference of a probability: {largest:.1e}")
    same = largest <= options.bound and np.allclose(*np.transpose(scores), atol=options.bound)
    bound = "same bits" if options.bound == 0 else f"same within {options.bound:g}"
    print(f"{bound}: {'yes' if same else 'NO'}")
    if not same:
        raise SystemExit("Probes that were trained together predict something else.")


def _recipes(name: str, device: torch.device, options: argparse.Namespace) -> Sequence[Recipe]:
    """Probes whose learning rates cover a search space, with all that a head may have of its own.

    The class weights are equal, clipping is on as in a study by default.
    """
    first = Recipe(
        backbone=name,
        lr=1e-2,
        freeze_depth=5,
        batch_size=options.batch_size,
        image_size=options.size,
        epochs=options.epochs,
        precision=precision.resolve(options.precision, device),
    )
    return [
        replace(
            first,
            lr=float(lr),
            weight_decay=(0.0, 1e-4, 1e-2)[i % 3],
            label_smoothing=(0.0, 0.1)[i % 2],
        )
        for i, lr in enumerate(np.geomspace(1e-4, 1e-1, options.trials))
    ]


def _data(name: str, options: argparse.Namespace) -> TrainingData:
    if options.data is None:
        return pictures.generated(options.images, size=options.size)
    backbone = backbones.load(name, image_size=options.size)
    return pictures.from_folder(options.data, backbone.preprocessing)


def _network(recipe: Recipe, data: TrainingData, options: argparse.Namespace) -> Network:
    if recipe.backbone not in _LOADED:
        # Loading it is the same work in both arms, and no part of training.
        _LOADED[recipe.backbone] = backbones.load(recipe.backbone, image_size=options.size)
    backbone = _LOADED[recipe.backbone]
    task = tasks.load("image_classification")
    head = task.head(backbone.feature_dim, len(data.class_names), seed=recipe.seed)
    return Network(backbone, head, freeze_depth=recipe.freeze_depth)


_LOADED: dict[str, Backbone] = {}


def _everything(_: CutCost) -> bool:
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--data", type=Path, help="an ImageFolder tree instead of made pictures")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument(
        "--bound", type=float, default=0.0, help="by how much a probability may differ"
    )
    parser.add_argument("--backbones", nargs="+", default=["bundled:efficientnet_lite0"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
