"""What a GPU is used for: steps that never wait for input, fast arithmetic, several trials at once.

    python -m benchmarks.device

Four rows, each with its arms in turn:

- `input`: steps a second of training from pixels, resident on the device and sent to it, over steps
  a second on one batch that is shown again and again. Target: at least 0.95, of the slower one.
- `tuned`: images a second of training as `selector` does it (bf16, channels last, fused optimizer)
  over a plain loop in fp32 and NCHW that has its one batch on the device. Target: at least 2.5.
- `concurrent`: trials an hour of several processes at once over one by one. Target: at least 1.5.
- `compile`: what `torch.compile` costs and saves in a trial, and after how many epochs it has paid.
  No target: it decides whether `selector` should compile.

Without a GPU it ends with exit code 4. `--device cpu` runs the same on a CPU, to see that it works:
its figures are not those of a GPU. The last line is the least measured / target of the rows.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from benchmarks import arms, at_once, compiling, pictures
from benchmarks.networks import TASK, network_of, recipe_of
from selector.data.normalize import normalize
from selector.records import TrainingData
from selector.training import images, precision, predict_log_probabilities, prepare_process
from selector.training.batches import Cut, whole
from selector.training.sources import Sources, open_sources
from selector.training.steps import Steps

ROWS = ("input", "tuned", "concurrent", "compile")
NO_DEVICE = 4
LOSS_BOUND = 0.02
PROBABILITY_BOUND = 0.05


def main() -> None:
    """Measure, check and print."""
    options = _options()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("No CUDA device here; --device cpu only shows that it runs.", file=sys.stderr)
        raise SystemExit(NO_DEVICE)
    prepare_process(options.threads)
    print(arms.machine())
    if device.type == "cuda":
        print(f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}")
    else:
        print("These are figures of a CPU: they say nothing about a GPU.")
    attained = []
    for row in options.rows:
        measured = _measure(row, device, options)
        if measured is not None:
            attained.append(measured)
    if attained:
        print(f"ratio: {min(attained):.2f}")


def _measure(row: str, device: torch.device, options: argparse.Namespace) -> float | None:
    """One row; gives measured / target, None where there is no target."""
    match row:
        case "input":
            return _input(device, options) / 0.95
        case "tuned":
            return _tuned(device, options) / 2.5
        case "concurrent":
            return at_once.measure(device, options) / 1.5
        case _:
            compiling.measure(device, options)
            return None


# --- real input against a batch that is there ---------------------------------------------------


class _Replayed:
    """Shows the first batch in place of every other."""

    def __init__(self, sources: Sources) -> None:
        self._source = sources.train(1)

    def features(self, indices: torch.Tensor) -> torch.Tensor:
        return self._source.features(indices)

    def stream(
        self, batches: Sequence[torch.Tensor], cut: Cut = whole
    ) -> Generator[torch.Tensor, None, None]:
        first = self.features(batches[0]).clone()
        yield from (first[: len(cut(indices))] for indices in batches)


def _input(device: torch.device, options: argparse.Namespace) -> float:
    """Steps a second from pixels over those on a replayed batch; the slower way of the two."""
    data = pictures.generated(options.steps * options.batch, size=options.size)
    names = ("resident", "sent", "replayed")
    works, losses = {}, {}
    for name in names:
        steps, sources = _steps(options.small, data, device, options, size=options.size)
        source = _Replayed(sources) if name == "replayed" else sources.train(1)
        with _room_for_pixels(name != "sent"):  # they are placed when they are first read
            losses[name] = float(steps.epoch(source, 1))  # the first epoch also loads kernels
        works[name] = partial(steps.epoch, source, 1)
    times = _in_turn(works, device, options.repeats)
    arms.print_table(f"\ninput: {options.small}, {_settings(options, options.size)}", times)
    moved = abs(losses["resident"] / losses["sent"] - 1)
    _require(moved <= LOSS_BOUND, f"loss of the first epoch: same within {LOSS_BOUND}")
    return min(_ratio(name, times["replayed"], times[name]) for name in ("resident", "sent"))


@contextmanager
def _room_for_pixels(room: bool) -> Iterator[None]:
    """Pixels first read here find room on the device, or none."""
    before = images.RESIDENT_SHARE
    images.RESIDENT_SHARE = before if room else 0.0
    try:
        yield
    finally:
        images.RESIDENT_SHARE = before


# --- tuned arithmetic against plain -------------------------------------------------------------


def _tuned(device: torch.device, options: argparse.Namespace) -> float:
    """Images a second as `selector` trains over those of the plain loop."""
    data = pictures.generated(options.steps * options.batch, size=options.large_size)
    steps, sources = _steps(options.large, data, device, options, size=options.large_size)
    works: dict[str, Callable[[], object]] = {
        "plain": _plain(data, device, options),
        "tuned": lambda: steps.epoch(sources.train(1), 1),
    }
    same = _same_function(data, device, options)
    for work in works.values():
        work()
    times = _in_turn(works, device, options.repeats)
    arms.print_table(f"\ntuned: {options.large}, {_settings(options, options.large_size)}", times)
    count = options.steps * options.batch
    for name, seconds in times.items():
        print(f"{name}: {count / statistics.median(seconds.wall):.0f} images a second")
    if device.type == "cuda":
        print(f"plain convolutions in fp32 may use TF32: {torch.backends.cudnn.allow_tf32}")
    _require(same, f"probabilities before training: same within {PROBABILITY_BOUND}")
    return _ratio("tuned", times["plain"], times["tuned"])


def _plain(
    data: TrainingData, device: torch.device, options: argparse.Namespace
) -> Callable[[], None]:
    """An epoch of a loop as in a tutorial, its one batch on the device."""
    network = network_of(options.large, 0, size=options.large_size).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    batch = torch.from_numpy(data.train.images[: options.batch]).to(device)
    labels = torch.from_numpy(data.train.labels[: options.batch]).to(device)

    def epoch() -> None:
        for _ in range(options.steps):
            inputs = normalize(batch, network.backbone.preprocessing).contiguous()
            loss = functional.cross_entropy(network(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def _same_function(data: TrainingData, device: torch.device, options: argparse.Namespace) -> bool:
    """Whether both formats give the same probabilities, but for rounding."""
    network = network_of(options.large, 0, size=options.large_size)
    full, tuned = (
        np.exp(
            predict_log_probabilities(
                network,
                data.validation,
                network.backbone.preprocessing,
                task=TASK,
                device=device,
                precision=chosen,
            )
        )
        for chosen in ("fp32", precision.resolve("auto", device))
    )
    return bool(np.abs(full - tuned).max() <= PROBABILITY_BOUND)


# --- shared by the rows -------------------------------------------------------------------------


def _steps(
    name: str, data: TrainingData, device: torch.device, options: argparse.Namespace, *, size: int
) -> tuple[Steps, Sources]:
    """A trial's steps at freeze depth 0, and what it trains on."""
    network = network_of(name, 0, size=size).place(device)
    recipe = recipe_of(name, 0, size=size, device=device, batch=options.batch, epochs=1)
    sources = open_sources(network, data, recipe, device=device, hold_bytes=0)
    steps = Steps.prepare(
        network,
        data.train.labels,
        recipe,
        n_classes=len(data.class_names),
        device=device,
        task=TASK,
    )
    return steps, sources


def _in_turn(
    works: dict[str, Callable[[], object]], device: torch.device, repeats: int
) -> dict[str, arms.Times]:
    """Every arm once in each repetition, until the device has done it."""
    times = {name: arms.Times() for name in works}

    def until_done(work: Callable[[], object]) -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for repeat in range(repeats):
        for name in arms.in_turn(list(works), repeat):
            times[name].add(*arms.timed(partial(until_done, works[name])))
    return times


def _ratio(name: str, slow: arms.Times, fast: arms.Times) -> float:
    """The median over repetitions, printed with its spread."""
    each = arms.ratios(slow, fast)
    print(f"{name}: {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})")
    return statistics.median(each)


def _settings(options: argparse.Namespace, size: int) -> str:
    return f"{options.steps} steps of {options.batch} at {size} px, {options.repeats} times"


def _require(condition: bool, what: str) -> None:
    """Print a check; arms that compute something else do not compare."""
    print(f"{what}: {'yes' if condition else 'NO'}")
    if not condition:
        raise SystemExit("The arms differ, so their times do not compare.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--small", default="torchvision:mobilenet_v3_small")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--large", default="torchvision:resnet50")
    parser.add_argument("--large-size", type=int, default=224)
    parser.add_argument("--trials", type=int, default=4, help="processes at once")
    parser.add_argument("--epochs", type=int, default=3, help="of a trial")
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 3], help="to compile")
    parser.add_argument("--compile-images", type=int, default=1000)
    parser.add_argument("--modes", nargs="+", default=["default", "reduce-overhead"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
