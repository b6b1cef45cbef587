"""Epochs that the default pruner saves, and what it costs in validation F1.

    python studies/fetch_emoji.py data/emoji
    python -m benchmarks.pruning --data data/emoji
    python -m benchmarks.pruning --size 32            # the digits that come with scikit-learn

First `selector run` trains a pool of random trials to the end and keeps their learning curves.
A trial's curve does not depend on the pruner, so pruners are then replayed on these curves, with
Optuna's own objects: for every seed a random list out of the pool, once for each rule. Besides no
pruning, the rule to beat trains all trials for one epoch and finishes the best k of them (Egele et
al. 2023), with k = 3 and with the k that costs as many epochs as the default pruner took.
The trials of a list come in random order, without the recipes that a study begins with.
Targets: 3 times fewer epochs with the best F1 within half a point, and F1 not below that rule.
`--curves` keeps the curves in a file, and reads them instead of training where it is there.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

from benchmarks import arms
from benchmarks.own import run_study
from selector.events import EpochEnded, Event, TrialStarted
from selector.search import pruners
from selector.spec import StudySpec, parse_study
from selector.training import prepare_process

Curve = Sequence[float]  # validation F1 of one trial after every epoch
Ended = tuple[int, float]  # epochs run, best F1 of the trials that were finished
SHOWN_K = 3


def main() -> None:
    """Record or read the curves, replay the rules, check and print."""
    options = _options()
    prepare_process(options.threads)
    print(arms.machine())
    study = _study(options)
    ratio, same = _compare(_curves(study, options), study, options)
    if not same:
        raise SystemExit("Pruning costs more F1 than the bound, so its epochs do not compare.")
    print(f"ratio: {ratio:.2f}")


def _compare(
    curves: Sequence[Curve], study: dict[str, Any], options: argparse.Namespace
) -> tuple[float, bool]:
    """Epochs without / with the default pruner, and whether the best F1 stays within the bound."""
    auto = parse_study(json.dumps({**study, "pruner": "auto"}))
    none = parse_study(json.dumps({**study, "pruner": "none"}))
    rows: dict[str, list[Ended]] = {}
    for seed in range(options.seeds):
        drawn = random.Random(seed).sample(curves, min(options.trials, len(curves)))
        pruned = replay(auto, drawn)
        for rule, ended in {
            "no pruning": replay(none, drawn),
            "auto": pruned,
            f"one epoch, top {SHOWN_K}": one_epoch(drawn, k=SHOWN_K),
            "one epoch, same cost": one_epoch(drawn, k=k_for(pruned[0], drawn)),
        }.items():
            rows.setdefault(rule, []).append(ended)
    _print(study["name"], rows, len(curves))
    gap = _mean_f1(rows["no pruning"]) - _mean_f1(rows["auto"])
    behind = _mean_f1(rows["one epoch, same cost"]) - _mean_f1(rows["auto"])
    same = gap <= options.bound
    print(f"mean of the best F1 lost by pruning: {gap:+.4f}")
    print(f"best F1 the same within {options.bound:g}: {'yes' if same else 'NO'}")
    print(f"not worse than one epoch at the same cost: {'yes' if behind <= 0 else 'NO'}")
    return _epochs(rows["no pruning"]) / _epochs(rows["auto"]), same


# --- rules --------------------------------------------------------------------------------------


def replay(spec: StudySpec, curves: Sequence[Curve]) -> Ended:
    """What the study's pruner makes of trials with these curves, one after the other."""
    pruner = pruners.load(spec.pruner.name).build(spec, spec.pruner.options)
    study = optuna.create_study(
        study_name=spec.name,
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=pruner,
    )
    epochs, best = 0, 0.0
    for curve in curves:
        trial, pruned = study.ask(), False
        for step, score in enumerate(curve):
            epochs += 1
            trial.report(score, step)
            pruned = trial.should_prune() and step + 1 < len(curve)
            if pruned:
                break
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, max(curve))
            best = max(best, *curve)
    return epochs, best


def one_epoch(curves: Sequence[Curve], *, k: int) -> Ended:
    """All trials for one epoch, then the `k` best of them to the end."""
    finished = sorted(curves, key=lambda curve: -curve[0])[:k]
    epochs = len(curves) + sum(len(curve) - 1 for curve in finished)
    return epochs, max(max(curve) for curve in finished)


def k_for(epochs: int, curves: Sequence[Curve]) -> int:
    """How many trials that rule may finish within `epochs`, rounded in its favour."""
    rest = max(1, len(curves[0]) - 1)
    return max(1, min(len(curves), -(-(epochs - len(curves)) // rest)))


# --- curves -------------------------------------------------------------------------------------


def _curves(study: dict[str, Any], options: argparse.Namespace) -> Sequence[Curve]:
    """The curves of the pool, read where they are kept or trained now."""
    kept = None if options.curves is None else Path(options.curves)
    if kept is None or not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            curves = _recorded(study, Path(folder))
        if kept is not None:
            kept.write_text(json.dumps({"study": study, "curves": curves}))
        return curves
    stored = json.loads(kept.read_text())
    if stored["study"] != study:
        raise SystemExit(f"{kept} holds the curves of other settings. Remove it to train anew.")
    print(f"curves of {kept}")
    curves = stored["curves"]
    assert isinstance(curves, list)
    return curves


def _recorded(study: dict[str, Any], home: Path) -> list[list[float]]:
    """The curves of a study that `selector run` trains now; files go below `home`."""
    started: list[TrialStarted] = []
    curves: list[list[float]] = []

    def note(event: Event) -> None:
        if isinstance(event, TrialStarted):
            started.append(event)
            curves.append([])
        elif isinstance(event, EpochEnded):
            curves[-1].append(event.score)
            if event.epoch == event.epochs:
                _print_trial(started[-1], curves[-1])

    run_study(study, home=home, observe=note)
    length = study["budget"]["epochs"]
    return [curve for curve in curves if len(curve) == length]


def _study(options: argparse.Namespace) -> dict[str, Any]:
    """The pool: random trials of the default search space, none of them stopped."""
    digits = options.data is None
    source = {"source": "builtin:digits"} if digits else {"path": str(Path(options.data).resolve())}
    return {
        "name": "pool-digits" if digits else "pool-pictures",
        "data": {**source, "limit": options.limit, "split": {"validation": 0.4, "test": 0.1}},
        "metric": {"name": "f1_macro", "goal": "maximize"},
        "search": {
            "backbone": options.backbones,
            "image_size": options.size,
        },
        "sampler": "random",
        "pruner": "none",
        "funnel": "off",
        "budget": {"trials": options.pool, "epochs": options.epochs},
        "device": "cpu",
        "seed": options.seed,
    }


# --- printing -----------------------------------------------------------------------------------


def _print(name: str, rows: dict[str, list[Ended]], pool: int) -> None:
    print(f"\n{name}: lists out of {pool} trials, {len(rows['auto'])} seeds")
    print(
        f"{'rule':<24}{'epochs':>8}{'least':>7}{'most':>6}{'ratio':>7}{'best F1':>9}  of each seed"
    )
    everything = _epochs(rows["no pruning"])
    for rule, ended in rows.items():
        epochs = [count for count, _ in ended]
        scores = "  ".join(f"{score:.4f}" for _, score in ended)
        print(
            f"{rule:<24}{statistics.mean(epochs):>8.1f}{min(epochs):>7}{max(epochs):>6}"
            f"{everything / sum(epochs):>7.2f}{_mean_f1(ended):>9.4f}  {scores}"
        )


def _print_trial(trial: TrialStarted, curve: Curve) -> None:
    params = trial.params
    print(
        f"{trial.number:>4} {trial.backbone:<28} depth {params['freeze_depth']} "
        f"lr {float(params['lr']):.1e} batch {params['batch_size']:<3} best F1 {max(curve):.4f}",
        flush=True,
    )


def _epochs(rows: Sequence[Ended]) -> int:
    return sum(epochs for epochs, _ in rows)


def _mean_f1(rows: Sequence[Ended]) -> float:
    return statistics.mean(score for _, score in rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", help="an ImageFolder tree of pictures; default: digits")
    parser.add_argument("--curves", help="a file that keeps the learning curves")
    parser.add_argument("--pool", type=int, default=40, help="trials that are trained to the end")
    parser.add_argument("--trials", type=int, default=24, help="trials of one replayed study")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5, help="replayed studies a data set")
    parser.add_argument("--seed", type=int, default=1, help="of the pool")
    parser.add_argument("--limit", type=int, default=600, help="images of the data set")
    parser.add_argument("--size", type=int, default=64, help="pixels of a side")
    parser.add_argument("--bound", type=float, default=0.005, help="on the F1 lost by pruning")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--backbones",
        nargs="+",
        default=["bundled:efficientnet_lite0", "bundled:mobilenet_v2"],
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
