"""Time until the best validation macro-F1 that the textbook search ever reaches is reached.

    python studies/fetch_emoji.py data/emoji
    python -m benchmarks.quality --data data/emoji

The textbook search (the textbook loop, Optuna's TPE and median pruner as they come) runs all its
trials; its best F1 and the moment at which that was first reached are noted. Then `selector run`
searches the same space with all its defaults, from an empty cache, until a trial that it finished
has that F1, or until it has spent as many trials. Audit, decoding and funnel count. A seed on which
`selector` does not get there has the ratio 0; with `--own-trials` such a study goes on to so many
trials. The best score of a search is the luckiest of many, so the time to 99 % of it is compared
too. Neither of these is part of the ratio. The data sets are the pictures of `--data` and generated
JPEGs of 500 x 400. Target: 5 times less wall time in the median of 3 seeds. The last line is the
ratio of the data set with the lowest one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import arms
from benchmarks.own import run_study
from benchmarks.side_by_side import counts_of, generated_jpegs, split_tree
from benchmarks.textbook import TextbookSearch, TextbookSpace
from selector.errors import NoCandidateError
from selector.events import EpochEnded, Event, TrialEnded, TrialStarted
from selector.training import prepare_process


@dataclass(frozen=True)
class Reached:
    """An F1, and the wall and CPU seconds of the search until then."""

    score: float
    wall: float
    cpu: float


NEARLY = 0.99


@dataclass
class Watch:
    """The best F1 of a search so far, and each that was the best one before, on its own clock."""

    best: Reached = field(default_factory=lambda: Reached(-1.0, 0.0, 0.0))
    steps: list[Reached] = field(default_factory=list)
    epochs: int = 0
    trials: int = 0
    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)

    def note(self, score: float) -> Reached:
        """One more epoch with this F1; it and the seconds until now."""
        self.epochs += 1
        now = self.now(score)
        if score > self.best.score:
            self.best = now
            self.steps.append(now)
        return now

    def now(self, score: float) -> Reached:
        """This F1 and the seconds until now."""
        return Reached(score, time.perf_counter() - self.wall, time.process_time() - self.cpu)


@dataclass(frozen=True)
class Outcome:
    """One seed: the textbook's best and its end, and `selector` when it had as much, or None.

    `nearly` is the ratio to 99 % of that best, 0 where `selector` never had it.
    """

    textbook: Reached
    textbook_end: Reached
    selector: Reached | None
    selector_end: Reached
    later: Reached | None
    nearly: float

    @property
    def ratio(self) -> float:
        """Wall seconds to the textbook's best F1: textbook / `selector`; 0 when never reached."""
        return self.textbook.wall / self.selector.wall if self.selector else 0.0


def main() -> None:
    """Both searches on every data set and seed, in turn; the table and the ratio."""
    options = _options()
    prepare_process(options.threads)
    print(arms.machine())
    seeds = range(options.seed, options.seed + options.seeds)
    medians = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, tree in _trees(Path(folder), options).items():
            print(
                f"\n{name}: {options.trials} trials of {options.epochs} epochs, {counts_of(tree)} "
                f"images at {options.size} px"
            )
            outcomes = [_one_seed(tree, seed, options) for seed in seeds]
            medians.append(_conclude(name, outcomes))
    print(f"ratio: {min(medians):.2f}")


def _one_seed(tree: Path, seed: int, options: argparse.Namespace) -> Outcome:
    """The textbook search to its end, then `selector` up to the same F1."""
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        watch = _textbook(tree, Path(folder), seed, options)
        textbook, end = watch.best, watch.now(watch.best.score)
        nearly = first(watch.steps, NEARLY * textbook.score)
        _print_search("textbook", seed, watch, end, textbook)
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        own = SelectorSearch(textbook.score)
        study = _study(tree, seed, textbook.score, options)
        own.run(study, Path(folder))
        reached, own_end = own.reached, own.watch.now(own.watch.best.score)
        _print_search("selector", seed, own.watch, own_end, reached)
        own_nearly = first(own.finished, NEARLY * textbook.score)
        if reached is None and options.own_trials > options.trials:
            study["budget"]["trials"] = options.own_trials
            own.run(study, Path(folder))
            _print_search("later", seed, own.watch, own.watch.now(0.0), own.reached)
    ratio = nearly.wall / own_nearly.wall if nearly and own_nearly else 0.0
    return Outcome(textbook, end, reached, own_end, own.reached, ratio)


def first(steps: Sequence[Reached], score: float) -> Reached | None:
    """The earliest moment with at least this F1; None where there is none."""
    return min((s for s in steps if s.score >= score), key=lambda s: s.wall, default=None)


def _textbook(tree: Path, folder: Path, seed: int, options: argparse.Namespace) -> Watch:
    watch = Watch()
    space = TextbookSpace(options.backbones, options.size, options.epochs, seed)
    search = TextbookSearch(tree, space, checkpoints=folder)
    for _ in range(options.trials):
        search.run_trial(watch.note)
        watch.trials += 1
    return watch


class SelectorSearch:
    """`selector run` on a study, and when a trial that it finished had first reached `wanted`."""

    def __init__(self, wanted: float) -> None:
        self.wanted = wanted
        self.watch = Watch()
        self.finished: list[Reached] = []  # every epoch of a trial that was finished
        self._running: list[Reached] = []

    @property
    def reached(self) -> Reached | None:
        """When a trial that it finished first had the F1."""
        return first(self.finished, self.wanted)

    def run(self, study: dict[str, Any], home: Path) -> None:
        """Search until the budget of the study ends, the target among it."""
        try:
            run_study(study, home=home, observe=self._note)
        except NoCandidateError:
            print("no trial was finished")

    def _note(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            self._running = []
            self.watch.trials += 1
        elif isinstance(event, EpochEnded):
            self._running.append(self.watch.note(event.score))
        elif isinstance(event, TrialEnded) and event.state == "complete":
            self.finished += self._running


def _study(tree: Path, seed: int, target: float, options: argparse.Namespace) -> dict[str, Any]:
    """The same space, trials and epochs; everything else is the default of a study file."""
    return {
        "name": "quality",
        "data": {"path": str(tree)},
        "metric": {"name": "f1_macro", "goal": "maximize"},
        "search": {
            "backbone": options.backbones,
            "lr": {"log_uniform": [1e-5, 1e-2]},
            "freeze_depth": {"int": [0, 5]},
            "batch_size": [16, 32, 64],
            "image_size": options.size,
        },
        "budget": {"trials": options.trials, "epochs": options.epochs, "target": target},
        "device": "cpu",
        "seed": seed,
    }


def _trees(folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    trees = {}
    if options.data is not None:
        trees["pictures"] = split_tree(Path(options.data), folder / "pictures", limit=options.limit)
    if options.images:
        made = generated_jpegs(folder / "made", options.images)
        trees["jpegs"] = split_tree(made, folder / "jpegs")
    return trees


# --- printing -----------------------------------------------------------------------------------


def _print_search(
    name: str, seed: int, watch: Watch, end: Reached, reached: Reached | None
) -> None:
    """One search: a long measurement shows how far it is."""
    when = (
        f"reached {reached.score:.4f} after {reached.wall:.1f} s (CPU {reached.cpu:.1f})"
        if reached
        else f"NOT reached, best {watch.best.score:.4f}"
    )
    print(
        f"seed {seed} {name:<9}{watch.trials:>3} trials {watch.epochs:>4} epochs, "
        f"{end.wall:.1f} s in all (CPU {end.cpu:.1f}); {when}",
        flush=True,
    )


def _conclude(name: str, outcomes: list[Outcome]) -> float:
    """Print the ratios of all seeds; their median."""
    wall = [outcome.ratio for outcome in outcomes]
    cpu = [o.textbook.cpu / o.selector.cpu if o.selector else 0.0 for o in outcomes]
    whole = [o.textbook_end.wall / o.selector_end.wall for o in outcomes]
    print(f"{name}: to 99 % of that F1, wall seconds: {_spread([o.nearly for o in outcomes])}")
    missed = sum(o.selector is None for o in outcomes)
    print(f"{name}: textbook / selector, wall seconds: {_spread(wall)}, CPU: {_spread(cpu)}")
    print(f"{name}: whole textbook search / whole search of selector: {_spread(whole)}")
    print(f"{name}: the textbook's best F1 not reached on {missed} of {len(outcomes)} seeds")
    if any(o.later is not o.selector for o in outcomes):
        later = [o.textbook.wall / o.later.wall if o.later else 0.0 for o in outcomes]
        print(f"{name}: with more trials where it was not, wall seconds: {_spread(later)}")
    return statistics.median(wall)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", help="an ImageFolder tree of pictures")
    parser.add_argument("--limit", type=int, help="pictures of that tree to use; default: all")
    parser.add_argument("--images", type=int, default=1000, help="generated JPEGs; 0: none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument(
        "--own-trials", type=int, default=0, help="up to which selector goes on, not in the ratio"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
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
    main()
