"""What a study will do and cost, before its first trial: a short measured probe."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from selector import tasks
from selector.admission import measured, within_limits
from selector.environment import device_name
from selector.events import DataProgress, Observer
from selector.preflight import Prepared
from selector.probing import decoded_bytes, ends, measured_step
from selector.records import NetworkCost, Preprocessing, Recipe, Scalar, SplitName
from selector.search import startup
from selector.search.recipe import recipe_of
from selector.spec import StudySpec
from selector.spec.domains import AnyDomain, Choice, Fixed, IntRange, Uniform
from selector.spec.schema import LimitsSpec
from selector.training import prepare_process

DEPTHS = (0, 3, 5)
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What one backbone costs at one freeze depth, measured on noise of the study's size."""

    backbone: str
    freeze_depth: int
    batch_size: int
    image_size: int
    setup_seconds: float  # once a trial: the network with its weights
    epoch_seconds: float  # training and validation images of the study, once
    trained_parameters: int
    peak_bytes: int | None  # device memory; None where the device does not count it


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTrial:
    """A trial that is planned before any score is known."""

    origin: str
    params: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a study will do, and an estimate of its cost without any pruning.

    `combinations` is the size of the search space, None where a parameter is continuous.
    """

    study: str
    metric: str
    device: str
    counts: Mapping[SplitName, int]
    classes: int
    trials: int
    epochs: int
    combinations: int | None
    searched: tuple[str, ...]
    continuous: tuple[str, ...]  # those of them that have infinitely many values
    first_trials: tuple[FirstTrial, ...]
    probes: tuple[Probe, ...]
    final_runs: int  # at most, after the search
    final_seconds: float
    seconds: float
    time_limit: float | None
    checkpoint_bytes: int
    cache_bytes: int
    device_bytes: int | None
    costs: tuple[NetworkCost, ...]  # empty without limits
    limits: LimitsSpec


def estimate(prepared: Prepared, *, observe: Observer) -> Plan:
    """The plan of a study that passed its checks. Trains for a moment, stores nothing."""
    prepare_process()
    limits, costs = prepared.spec.limits, measured(prepared, observe=observe)
    prepared = within_limits(prepared, costs, observe=observe)
    spec = prepared.spec
    recipes = _recipes(prepared)
    probes = []
    preprocessings = set()
    for done, recipe in enumerate(recipes, start=1):
        probe, preprocessing = _measure(recipe, prepared)
        probes.append(probe)
        preprocessings.add(preprocessing)
        observe(
            DataProgress(
                done=done, total=len(recipes), label="measuring backbones", unit="networks"
            )
        )
    final_runs = _final_runs(spec)
    epoch_seconds = statistics.fmean(probe.epoch_seconds for probe in probes)
    setup_seconds = statistics.fmean(probe.setup_seconds for probe in probes)
    trained = statistics.fmean(probe.trained_parameters for probe in probes)
    peaks = [probe.peak_bytes for probe in probes if probe.peak_bytes is not None]
    return Plan(
        study=spec.name,
        metric=spec.metric.name,
        device=device_name(prepared.device),
        counts=prepared.dataset.summary.counts,
        classes=len(prepared.dataset.class_names),
        trials=spec.budget.trials,
        epochs=spec.budget.epochs,
        combinations=_combinations(spec),
        searched=_searched(spec),
        continuous=_continuous(spec),
        first_trials=tuple(
            FirstTrial(origin=planned.origin, params=planned.params)
            for planned in startup.plan(spec)
        ),
        probes=tuple(probes),
        final_runs=final_runs,
        final_seconds=final_runs * (setup_seconds + epoch_seconds * spec.budget.epochs),
        seconds=setup_seconds * spec.budget.trials + epoch_seconds * _epochs(spec),
        time_limit=spec.budget.time,
        checkpoint_bytes=round(trained * _FLOAT_BYTES * _kept(spec)),
        cache_bytes=_decoded_bytes(prepared, preprocessings),
        device_bytes=max(peaks, default=None),
        costs=costs,
        limits=limits,
    )


def _recipes(prepared: Prepared) -> list[Recipe]:
    """For every backbone its known-good recipe at some freeze depths and each image size.

    On a GPU with the study's largest batch, for what counts there is whether it fits.
    """
    spec, recipes = prepared.spec, []
    for name in spec.backbone_names:
        space = spec.space_of(name)
        params = startup.recipe(spec, name)
        if prepared.device.type == "cuda":
            params["batch_size"] = ends(space["batch_size"])[-1]
        sizes = ends(space["image_size"])
        for depth, size in product(_depths(space["freeze_depth"]), sizes):
            chosen = {**params, "freeze_depth": depth, "image_size": size}
            recipes.append(recipe_of(chosen, spec, epochs=1, device=prepared.device))
    return recipes


def _measure(recipe: Recipe, prepared: Prepared) -> tuple[Probe, Preprocessing]:
    measured = measured_step(
        recipe,
        prepared.spec,
        base=prepared.base,
        classes=len(prepared.dataset.class_names),
        device=prepared.device,
        task=tasks.load(prepared.spec.task),
    )
    cost, counts = measured.cost, prepared.dataset.summary.counts
    probe = Probe(
        backbone=recipe.backbone,
        freeze_depth=recipe.freeze_depth,
        batch_size=recipe.batch_size,
        image_size=recipe.image_size,
        setup_seconds=measured.setup_seconds,
        epoch_seconds=cost.train_seconds_per_image * counts["train"]
        + cost.evaluation_seconds_per_image * counts["validation"],
        trained_parameters=measured.trained_parameters,
        peak_bytes=cost.peak_bytes,
    )
    return probe, measured.preprocessing


def _final_runs(spec: StudySpec) -> int:
    """The most trainings that the finals can take: all leaders are tied, no reference is one."""
    if spec.finals is None:
        return 0
    finalists = min(spec.budget.trials, spec.finals.top + max(1, len(spec.start_from)))
    return finalists * spec.finals.seeds * (spec.finals.folds or 1) if finalists > 1 else 0


def _kept(spec: StudySpec) -> int:
    """How many checkpoints stay on disk at most: those kept, and those that finals may pick."""
    if spec.keep.best is None:
        return spec.budget.trials
    leaders = max(spec.keep.best, 1 if spec.finals is None else spec.finals.top)
    return min(spec.budget.trials, leaders + max(1, len(spec.start_from)))


def _epochs(spec: StudySpec) -> int:
    """Epochs of the whole study when nothing is pruned."""
    epochs = spec.budget.trials * spec.budget.epochs
    return min(epochs, spec.budget.total_epochs or epochs)


def _decoded_bytes(prepared: Prepared, preprocessings: set[Preprocessing]) -> int:
    # Images are kept once for each size and interpolation; mean and std come later.
    kinds = {(each.size, each.interpolation) for each in preprocessings}
    counts = prepared.dataset.summary.counts
    return sum(decoded_bytes(counts, size) for size, _ in kinds)


def _searched(spec: StudySpec) -> tuple[str, ...]:
    """The parameters that are not fixed, the backbone first."""
    several = ("backbone",) if len(spec.backbone_names) > 1 else ()
    names: dict[str, None] = {}
    for backbone in spec.backbone_names:
        for name, domain in spec.space_of(backbone).items():
            if not isinstance(domain, Fixed):
                names[name] = None
    return (*several, *names)


def _continuous(spec: StudySpec) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for backbone in spec.backbone_names:
        names |= {n: None for n, domain in spec.space_of(backbone).items() if not _count(domain)}
    return tuple(names)


def _combinations(spec: StudySpec) -> int | None:
    """How many different trials there are, or None for infinitely many."""
    total = 0
    for backbone in spec.backbone_names:
        sizes = [_count(domain) for domain in spec.space_of(backbone).values()]
        if any(size is None for size in sizes):
            return None
        total += math.prod(size for size in sizes if size is not None)
    return total


def _count(domain: AnyDomain) -> int | None:
    match domain:
        case Fixed():
            return 1
        case Choice(values):
            return len(values)
        case IntRange(low, high, step):
            return (high - low) // step + 1
        case Uniform(low, high, step) if step is not None:
            return round((high - low) / step) + 1
        case _:
            return None


def _depths(domain: AnyDomain) -> Sequence[int]:
    """The probed freeze depths that the domain allows, or its own ends."""
    low, high = (int(value) for value in (ends(domain)[0], ends(domain)[-1]))
    return [depth for depth in DEPTHS if low <= depth <= high] or sorted({low, high})
