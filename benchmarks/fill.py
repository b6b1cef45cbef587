"""Filling the prefix cache with every cut of a backbone, against one forward pass.

    python -m benchmarks.fill

The pass that fills must run the stages once anyway; the rest is writing, syncing, checksums and
the key. Target: at most 1.2 passes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import arms, pictures
from selector import backbones, metrics, tasks
from selector.records import Recipe, SplitImages, TrainingData
from selector.training import Network, prepare_process, train
from selector.training.batches import sequential_batches
from selector.training.cache import CutCost, PrefixCache
from selector.training.images import Images
from selector.training.prefix import FILL_BATCH, ComputedPrefix

CPU = torch.device("cpu")
QUOTA_BYTES = 50 * 10**9
DEPTHS = frozenset(range(1, 6))


def main() -> None:
    """Measure, check and print."""
    options = _options()
    prepare_process(options.threads)
    print(arms.machine())
    measured = []
    for name in options.backbones:
        measured.append(_measure(name, options))
    print(f"ratio: {statistics.fmean(measured):.2f}")


def _measure(name: str, options: argparse.Namespace) -> float:
    """Seconds of a fill over those of a pass: the median over repetitions."""
    data = pictures.generated(options.images, size=options.size)
    _pass(_computed(name, data.train, options.size))  # the first one also loads libraries
    forward, fill = arms.Times(), arms.Times()
    for repeat in range(options.repeats):
        for arm in arms.in_turn(("forward", "fill"), repeat):
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                computed = _computed(name, data.train, options.size)
                if arm == "forward":
                    forward.add(*arms.timed(partial(_pass, computed)))
                else:
                    cache = _cache(name, Path(folder))
                    work = partial(cache.open, computed, data.train, resident_bytes=0)
                    fill.add(*arms.timed(work))
    arms.print_table(
        f"\n{name}, {len(data.train.labels)} images at {options.size} px, {options.repeats} times",
        {"one forward pass": forward, "fill of all cuts": fill},
    )
    per_repeat = arms.ratios(fill, forward)
    print(f"fill / pass: {min(per_repeat):.2f} to {max(per_repeat):.2f}")
    _check_scores(name, data, options)
    return statistics.median(per_repeat)


def _check_scores(name: str, data: TrainingData, options: argparse.Namespace) -> None:
    """A probe on what was filled predicts what a probe without the cache does, to the bit."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results = []
        for cache in (None, _cache(name, Path(folder))):
            network = _network(name, options.size)
            recipe = Recipe(
                backbone=name,
                lr=1e-2,
                freeze_depth=5,
                batch_size=32,
                image_size=options.size,
                epochs=3,
            )
            task = tasks.load("image_classification")
            epochs = list(train(network, data, recipe, device=CPU, task=task, prefix_cache=cache))
            results.append(epochs[-1].log_probabilities)
    scores = [metrics.compute("f1_macro", data.validation.labels, each) for each in results]
    same = np.array_equal(results[0], results[1])
    print(f"F1 without {scores[0]:.4f}, with {scores[1]:.4f}, same bits: {'yes' if same else 'NO'}")
    if not same:
        raise SystemExit("The cached probe predicts something else.")


def _pass(computed: ComputedPrefix) -> None:
    for indices in sequential_batches(len(computed.images), FILL_BATCH):
        computed.features(indices)


def _cache(name: str, folder: Path) -> PrefixCache:
    return PrefixCache(folder, quota_bytes=QUOTA_BYTES, depths={name: DEPTHS}, admit=_everything)


def _everything(_: CutCost) -> bool:
    """The cost of all cuts is what is measured, worth it or not."""
    return True


def _computed(name: str, split: SplitImages, size: int) -> ComputedPrefix:
    network = _network(name, size).place(CPU)
    images = Images(split.images, network.backbone.preprocessing, CPU)
    return ComputedPrefix(network, images, "fp32", CPU)


def _network(name: str, size: int) -> Network:
    backbone = backbones.load(name, image_size=size)
    head = tasks.load("image_classification").head(backbone.feature_dim, pictures.CLASSES, seed=0)
    return Network(backbone, head, freeze_depth=5)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", help="where to fill, for the disk that matters")
    parser.add_argument(
        "--backbones",
        nargs="+",
        default=["bundled:efficientnet_lite0", "bundled:mobilenet_v2"],
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
