"""One study with one worker and with several: the wall time of its trials, start-up included.

    python -m benchmarks.workers                     # generated pictures, Lite0
    python -m benchmarks.workers --data data/emoji --workers 4

Both arms run the same start-up trials, one thread a worker, from an empty cache each time. The
ratio is one worker / several: what a second core is worth, less what a second process costs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks import arms
from benchmarks.pictures import generated
from selector.environment import cores
from selector.records import TrialRow
from selector.run import ignore, run
from selector.store import Store
from selector.training import prepare_process


def main() -> None:
    """Measure both arms in turn, check that they did the same work, and print the ratio."""
    options = _options()
    prepare_process(1)
    print(f"{arms.machine()}, {cores()} cores, load {os.getloadavg()[0]:.1f}")
    counts = {"one worker": 1, f"{options.workers} workers": options.workers}
    times = {name: arms.Times() for name in counts}
    same = []
    with tempfile.TemporaryDirectory() as place:
        images = Path(options.data) if options.data else _pictures(Path(place), options)
        for repeat in range(options.repeats):
            ended = {}
            for name in arms.in_turn(list(counts), repeat):
                home = Path(place) / f"{repeat}-{counts[name]}"
                wall, cpu, ended[name] = _timed_run(images, home, options, workers=counts[name])
                times[name].add(wall, cpu)
            same.append(_same_work(*ended.values()))
    title = f"\n{options.trials} trials of {options.epochs} epochs; cpu s: seconds within trials"
    arms.print_table(title, times)
    print(
        f"budget spent and start-up trials the same in both records: {'yes' if all(same) else 'NO'}"
    )
    if not all(same):
        raise SystemExit("The arms did not do the same work, so their times do not compare.")
    one, several = times.values()
    print(f"ratio: {statistics.median(arms.ratios(one, several)):.2f}")


def _timed_run(
    images: Path, home: Path, options: argparse.Namespace, *, workers: int
) -> tuple[float, float, Sequence[TrialRow]]:
    """Wall seconds of a whole run in an empty place, CPU seconds of all it started, its trials."""
    home.mkdir()
    os.environ["SELECTOR_CACHE"] = str(home / "cache")
    os.environ["SELECTOR_ARTIFACTS"] = str(home / "artifacts")
    study = {
        "name": "workers",
        "data": {"path": str(images.absolute())},
        "metric": {"name": "f1_macro", "goal": "maximize"},
        "search": {"backbone": options.backbones, "image_size": options.size},
        "sampler": "qmc",
        "pruner": "none",
        "funnel": "off",
        "budget": {"trials": options.trials, "epochs": options.epochs},
        "device": "cpu",
        "workers": workers,
    }
    file, url = home / "study.yaml", f"sqlite:///{home / 'selector.db'}"
    file.write_text(json.dumps(study))
    wall, cpu = time.perf_counter(), _cpu_seconds()
    run(file, store=url, observe=ignore)
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    with Store.open(url) as store:
        return wall, cpu, store.trials("workers")


def _cpu_seconds() -> float:
    """What this process and the ended ones that it started have computed so far."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _same_work(one: Sequence[TrialRow], other: Sequence[TrialRow]) -> bool:
    """Whether both runs trained the same trials to their end."""
    pairs = list(zip(one, other, strict=True))
    ended = all(row.state == "complete" for pair in pairs for row in pair)
    return ended and all(a.params == b.params for a, b in pairs)


def _pictures(place: Path, options: argparse.Namespace) -> Path:
    """Generated pictures as an ImageFolder tree."""
    made = generated(options.images, size=options.size)
    for number, (pixels, label) in enumerate(
        zip(made.train.images, made.train.labels, strict=True)
    ):
        path = place / "pictures" / made.class_names[label] / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return place / "pictures"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", help="an ImageFolder tree; generated pictures without it")
    parser.add_argument("--images", type=int, default=800, help="generated pictures")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--backbones", nargs="+", default=["bundled:efficientnet_lite0"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
