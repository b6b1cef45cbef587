"""The textbook loop and `selector` in turn on one list of trials, and what the two took."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import arms
from benchmarks.searched import Searched
from benchmarks.textbook import Textbook
from selector import data
from selector.data.dataset import indices
from selector.records import Recipe, SplitName
from selector.spec.schema import DataSpec, SplitSpec
from selector.training import prepare_process

ARMS = ("textbook", "selector")
CLASSES = 8
JPEG_SIZE = (500, 400)
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass
class Outcome:
    """Seconds and best F1 of each trial of one arm; what came before the first one apart."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    before: tuple[float, float] = (0.0, 0.0)


def measure(options: argparse.Namespace, *, depths: Sequence[int]) -> None:
    """Measure every data set, check and print; the last line is the first data set's ratio."""
    prepare_process(options.threads)
    print(arms.machine())
    trials = trial_list(options, depths=depths)
    ratios, alike = [], []
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        trees = {}
        if options.data is not None:
            trees["pictures"] = split_tree(Path(options.data), Path(place) / "pictures")
        if options.images:
            jpegs = generated_jpegs(Path(place) / "made", options.images)
            trees["jpegs"] = split_tree(jpegs, Path(place) / "jpegs")
        for name, tree in trees.items():
            ratio, same = _measure(name, tree, trials, options)
            ratios.append(ratio)
            alike.append(same)
    if not all(alike):
        raise SystemExit("The arms do not reach the same F1, so their times do not compare.")
    print(f"ratio: {ratios[0]:.2f}")


def trial_list(options: argparse.Namespace, *, depths: Sequence[int]) -> Sequence[Recipe]:
    """Depths in turn, backbones in turn and crossed with them, then another learning rate."""
    names, n = options.backbones, len(depths)
    crossed = n * len(names)
    return [
        Recipe(
            backbone=names[(i + i // n) % len(names)] if n > 1 else names[i % len(names)],
            lr=10 ** -(2.5 + (i // crossed) / 12),
            freeze_depth=depths[i % n],
            batch_size=32,
            image_size=options.size,
            epochs=options.epochs,
        )
        for i in range(options.trials)
    ]


def _measure(
    name: str, tree: Path, trials: Sequence[Recipe], options: argparse.Namespace
) -> tuple[float, bool]:
    """Textbook / selector in wall seconds, and whether both reach the same F1."""
    totals = {arm: arms.Times() for arm in ARMS}
    same = True
    for repeat in range(options.repeats):
        outcomes = _run(name, tree, trials, repeat=repeat)
        for arm, outcome in outcomes.items():
            wall, cpu = outcome.before
            totals[arm].add(wall + sum(outcome.wall), cpu + sum(outcome.cpu))
        same &= _same_scores(outcomes, bound=options.bound)
    arms.print_table(
        f"\n{name}: {len(trials)} trials of {options.epochs} epochs, {counts_of(tree)} images at "
        f"{options.size} px, {options.repeats} times",
        totals,
    )
    wall = arms.ratios(totals["textbook"], totals["selector"])
    cpu = [a / b for a, b in zip(totals["textbook"].cpu, totals["selector"].cpu, strict=True)]
    print(f"{name}: textbook / selector, wall seconds: {_spread(wall)}, CPU: {_spread(cpu)}")
    return statistics.median(wall), same


def _run(name: str, tree: Path, trials: Sequence[Recipe], *, repeat: int) -> dict[str, Outcome]:
    """All trials once in each arm, with nothing cached before."""
    outcomes = {arm: Outcome() for arm in ARMS}
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        home = Path(folder)
        *before, textbook = arms.timed_result(lambda: Textbook(tree, trials, checkpoints=home))
        outcomes["textbook"].before = (before[0], before[1])
        *before, searched = arms.timed_result(lambda: Searched.open(tree, trials, home=home))
        outcomes["selector"].before = (before[0], before[1])
        running = {"textbook": textbook.run_trial, "selector": searched.run_trial}
        _print_head(name, outcomes)
        for number, recipe in enumerate(trials):
            for arm in arms.in_turn(ARMS, repeat + number):
                wall, cpu, score = arms.timed_result(running[arm])
                outcomes[arm].wall.append(wall)
                outcomes[arm].cpu.append(cpu)
                outcomes[arm].scores.append(score)
            _print_trial(recipe, outcomes)
    return outcomes


def _print_head(name: str, outcomes: dict[str, Outcome]) -> None:
    before = ", ".join(f"{arm} {outcome.before[0]:.2f} s" for arm, outcome in outcomes.items())
    print(f"\n{name}: before the first trial {before}")
    print(
        f"{'backbone':<28}{'depth':>6}{'textbook s':>12}{'selector s':>12}{'ratio':>8}{'of CPU':>8}"
        "  F1",
        flush=True,
    )


def _print_trial(recipe: Recipe, outcomes: dict[str, Outcome]) -> None:
    """The latest trial: a long measurement shows how far it is."""
    a, b = outcomes["textbook"], outcomes["selector"]
    print(
        f"{recipe.backbone:<28}{recipe.freeze_depth:>6}{a.wall[-1]:>12.2f}{b.wall[-1]:>12.2f}"
        f"{a.wall[-1] / b.wall[-1]:>8.1f}{a.cpu[-1] / b.cpu[-1]:>8.1f}"
        f"  {a.scores[-1]:.4f} {b.scores[-1]:.4f}",
        flush=True,
    )


def _same_scores(outcomes: dict[str, Outcome], *, bound: float) -> bool:
    """Whether the best trial and the mean of all trials score alike in both arms."""
    a, b = (np.array(outcomes[arm].scores) for arm in ARMS)
    best, mean = abs(a.max() - b.max()), abs(a.mean() - b.mean())
    print(
        f"F1, best of the list: {a.max():.4f} and {b.max():.4f}; mean of the list: {a.mean():.4f} "
        f"and {b.mean():.4f}; largest difference of a trial: {np.abs(a - b).max():.4f}"
    )
    same = bool(max(best, mean) <= bound)
    print(f"best and mean F1 the same within {bound:g}: {'yes' if same else 'NO'}")
    return same


# --- data ---------------------------------------------------------------------------------------


def split_tree(folder: Path, target: Path, *, limit: int | None = None) -> Path:
    """The pictures of an ImageFolder tree as train, validation and test trees, 3 : 1 : 1.

    `limit` is the number of pictures, drawn alike from all classes; by default all of them.
    """
    spec = DataSpec(path=str(folder), limit=limit, split=SplitSpec(validation=0.2, test=0.2))
    dataset = data.inspect(spec, base=Path.cwd())
    for split in SPLITS:
        for index in indices(dataset.splits, split):
            sample = dataset.samples[index]
            place = target / split / sample.label / sample.id.replace("/", "-")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / sample.id, place)
    return target


def generated_jpegs(target: Path, n: int) -> Path:
    """`n` photo-sized JPEGs, seeded: stripes of a class's own angle over smooth colours."""
    width, height = JPEG_SIZE
    rows, columns = np.mgrid[:height, :width] / width
    for number in range(n):
        rng = np.random.default_rng([11, number])
        label = number % CLASSES
        colours = Image.fromarray(rng.integers(0, 160, (9, 11, 3), dtype=np.uint8))
        pixels = np.array(colours.resize(JPEG_SIZE, Image.Resampling.BICUBIC)).astype(np.float32)
        angle = np.pi * (label + rng.normal(0, 0.25)) / CLASSES
        wave = np.sin(40 * (rows * np.cos(angle) + columns * np.sin(angle)) + rng.uniform(0, 6))
        pixels += 25 * wave[..., None] + rng.normal(0, 12, (height, width, 1))
        place = target / f"stripes-{label}" / f"{number:05}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place, quality=88)
    return target


def counts_of(tree: Path) -> str:
    """How many pictures train and validate, as text."""
    counts = [sum(1 for path in (tree / split).rglob("*.*")) for split in SPLITS[:2]]
    return f"{counts[0]} + {counts[1]}"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def options_of(description: str | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--data", help="an ImageFolder tree of pictures; measured first")
    parser.add_argument("--images", type=int, default=1000, help="generated JPEGs; 0: none")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bound", type=float, default=0.02, help="on the F1 of the two arms")
    parser.add_argument("--folder", help="where files lie, for the disk that matters")
    parser.add_argument(
        "--backbones",
        nargs="+",
        default=["bundled:efficientnet_lite0", "bundled:mobilenet_v2"],
    )
    options = parser.parse_args()
    if options.data is None and not options.images:
        parser.error("nothing to train on: give --data or --images")
    return options


if __name__ == "__main__":
    raise SystemExit("Run benchmarks.study or benchmarks.probes.")
