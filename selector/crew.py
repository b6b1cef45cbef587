"""How many workers a run has on this machine, on which devices, and what share of its cores."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psutil
import torch

from selector import executors, tasks
from selector.environment import choose_devices, cores, device_name, devices_of_trials
from selector.errors import TrialFailedError
from selector.events import Observer, nobody
from selector.preflight import Prepared
from selector.probing import decoded_bytes, ends, measured_step
from selector.records import Recipe, Seat
from selector.search import startup
from selector.search.recipe import recipe_of
from selector.spec import StudySpec, from_plain, to_plain
from selector.training import prepare_process
from selector.training.images import RESIDENT_SHARE
from selector.training.memory import out_of_memory_fails_the_trial
from selector.training.prefix import HOLD_BYTES

MEMORY_SHARE = 0.8  # of what is free; the rest is for what the measured step does not show
# Outputs of a stage in fp32 against the pixels in uint8: 21 times is the first stage of a
# ResNet-50, 256 channels at a quarter of the side. Others of the usual networks have less.
OUTPUTS_PER_PIXEL = 21
CUDA_CONTEXT_BYTES = 600_000_000  # what CUDA takes for each process before it holds one tensor


def seats_of(prepared: Prepared, *, trials_left: int, observe: Observer) -> tuple[Seat, ...]:
    """A seat for each worker, one at least and no more than there are trials left.

    A seat elsewhere has the device that the study names, `auto` as well: what there is shows there.

    With `trials_per_device: auto` the most demanding trial is tried out first, in a process of its
    own; `observe` hears what that process prints.
    """
    spec, most = prepared.spec, max(1, trials_left)
    if executors.elsewhere(spec.executor.name):
        return tuple(Seat(number=n, device=spec.device) for n in range(min(most, spec.workers)))
    places = devices_of_trials(spec.device, spec.devices_per_trial)
    each = spec.trials_per_device
    if each == "auto":
        each = 1 if most == 1 else _that_fit(prepared, observe=observe)
    count = min(most, max(spec.workers, each * len(places)))
    if count == 1 and spec.devices_per_trial == 1:
        return (Seat(number=0, device=str(prepared.device)),)
    return seated(count, [[str(device) for device in place] for place in places], cores=cores())


def only_seat(prepared: Prepared) -> Seat:
    """The seat of a worker that is alone."""
    (seat,) = seats_of(prepared, trials_left=1, observe=nobody)
    return seat


def seated(count: int, places: Sequence[Sequence[str]], *, cores: int) -> tuple[Seat, ...]:
    """`count` seats in the places in turn, each of which has one device or several.

    The cores are shared out evenly among all processes, one at least for each.
    """
    return tuple(
        Seat(
            number=number,
            device=places[number % len(places)][0],
            threads=max(1, cores // (count * len(places[0]))),
            others=tuple(places[number % len(places)][1:]),
        )
        for number in range(count)
    )


def place(seats: Sequence[Seat], *, executor: str = "local") -> str:
    """Where the workers sit, for people: `cpu, 2 workers of 1 thread`."""
    if executors.elsewhere(executor):
        return f"{executor}, {len(seats)} worker{'' if len(seats) == 1 else 's'}"
    device, each = torch.device(seats[0].device), 1 + len(seats[0].others)
    if len(seats) == each == 1:
        return device_name(device)
    devices = len({device for seat in seats for device in (seat.device, *seat.others)})
    threads = seats[0].threads
    several = f"{devices} x " if devices > 1 else ""
    name = "cpu" if device.type == "cpu" else f"{several}{device_name(device)}"
    workers = "1 worker" if len(seats) == 1 else f"{len(seats)} workers"
    processes = f"{each} processes of " if each > 1 else ""
    return f"{name}, {workers} of {processes}{threads} thread{'' if threads == 1 else 's'}"


def processes_that_fit(*, free_bytes: int, bytes_each: int | None, cores: int) -> int:
    """How many processes of this size fit into the memory and have a core each, at least 1.

    `bytes_each` None: not even one fits.
    """
    if bytes_each is None:
        return 1
    return max(1, min(cores, int(MEMORY_SHARE * free_bytes) // bytes_each))


def bytes_of_hardest_trial(
    plain_spec: dict[str, object], folder: str, classes: int, seat: Seat, observe: Observer
) -> int | None:
    """Peak memory of this process while it trains the study's most demanding trials in turn.

    Device memory on a GPU, resident memory on a CPU; None where a trial does not fit. A process
    never gives its peak back, so call it in one that is started for this.
    """
    del observe
    spec, device = from_plain(plain_spec), torch.device(seat.device)
    prepare_process(seat.threads)
    for recipe in hardest_recipes(spec, device):
        try:
            with out_of_memory_fails_the_trial(recipe, device):
                measured_step(
                    recipe,
                    spec,
                    base=Path(folder),
                    classes=classes,
                    device=device,
                    task=tasks.load(spec.task),
                )
        except TrialFailedError:
            return None
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) + CUDA_CONTEXT_BYTES
    return _peak_resident_bytes()


def _peak_resident_bytes() -> int:
    """The most memory that this process held since its program started."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands `ru_maxrss` on to a started program: there it may be the parent's peak.
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def hardest_recipes(spec: StudySpec, device: torch.device) -> list[Recipe]:
    """For every backbone: all stages that may be trained, the largest batch, the largest images."""
    recipes = []
    for name in spec.backbone_names:
        space = spec.space_of(name)
        params = startup.recipe(spec, name) | {
            "freeze_depth": ends(space["freeze_depth"])[0],
            "batch_size": ends(space["batch_size"])[-1],
            "image_size": ends(space["image_size"])[-1],
        }
        recipes.append(recipe_of(params, spec, epochs=1, device=device))
    return recipes


def _that_fit(prepared: Prepared, *, observe: Observer) -> int:
    """Trials at a time on each device: on the smallest one where they differ."""
    spec, devices = prepared.spec, choose_devices(prepared.spec.device)
    device = devices[0]
    (bytes_each,) = executors.load("local").run(
        partial(
            bytes_of_hardest_trial,
            to_plain(spec),
            str(prepared.base),
            len(prepared.dataset.class_names),
        ),
        [Seat(number=0, device=str(device), threads=1)],
        observe=observe,
    )
    if bytes_each is not None:
        bytes_each += _held_bytes(prepared)
    if device.type != "cuda":
        free = psutil.virtual_memory().available
        fit = processes_that_fit(free_bytes=free, bytes_each=bytes_each, cores=cores())
        return max(1, fit // spec.devices_per_trial)  # all processes of a trial are on this device
    free = min(torch.cuda.mem_get_info(each)[0] for each in devices)
    if bytes_each is not None:
        size = max(recipe.image_size for recipe in hardest_recipes(spec, device))
        pixels = decoded_bytes(prepared.dataset.summary.counts, size)
        bytes_each += min(pixels, int(RESIDENT_SHARE * free))
    return processes_that_fit(
        free_bytes=free, bytes_each=bytes_each, cores=max(1, cores() // len(devices))
    )


def _held_bytes(prepared: Prepared) -> int:
    """What a trial may hold of its frozen stages' outputs, which the measured step does not have.

    An upper bound: most cuts are smaller, and on a CPU those of the cache lie in its files.
    """
    spec = prepared.spec
    spaces = [spec.space_of(name) for name in spec.backbone_names]
    if not any(ends(space["freeze_depth"])[-1] for space in spaces):
        return 0
    size = max(int(ends(space["image_size"])[-1]) for space in spaces)
    return min(HOLD_BYTES, OUTPUTS_PER_PIXEL * decoded_bytes(prepared.dataset.summary.counts, size))
