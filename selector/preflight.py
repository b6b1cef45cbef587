"""Everything that can be wrong is found here, in one pass, before a trial is created."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from selector import backbones, data, executors, metrics, search, tasks, uploads, writers
from selector.environment import choose_device, devices_of_trials
from selector.errors import (
    InputError,
    ProblemsError,
    SelectorError,
    StudyFileError,
    UnavailableError,
    did_you_mean,
)
from selector.events import DataProgress, Observer
from selector.settings import load_settings
from selector.spec import StudySpec, load_study, readable_parts
from selector.spec.schema import DataSpec


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study whose every part was built once: study file, data, device."""

    spec: StudySpec
    dataset: data.Dataset
    device: torch.device
    base: Path


def load_prepared(path: Path, *, overrides: Sequence[str], observe: Observer) -> Prepared:
    """The study of a file, read and with every part checked.

    Raises ProblemsError with all mistakes: those of the file and, as far as the file can be read,
    those of the data and the backbones as well.
    """
    base = path.resolve().parent
    try:
        spec = load_study(path, overrides=overrides)
    except StudyFileError as mistakes:
        more = _problems_elsewhere(path, base=base, overrides=overrides, observe=observe)
        raise ProblemsError([*mistakes.problems, *more]) from None
    return prepare(spec, base=base, observe=observe)


def prepare(spec: StudySpec, *, base: Path, observe: Observer) -> Prepared:
    """Check the data and every part of the study; `base` is the folder of the study file.

    Raises ProblemsError with all mistakes, or UnavailableError when nothing but weights, packages
    or the device is missing.
    """
    problems: list[SelectorError] = []

    def attempt(part: Callable[[], object]) -> object:
        try:
            return part()
        except SelectorError as problem:
            problems.append(problem)
            return None

    attempt(lambda: check_folder(load_settings().artifacts))
    attempt(uploads.check)
    attempt(lambda: tasks.load(spec.task))
    attempt(lambda: search.check(spec, base=base))
    attempt(lambda: writers.check(spec.writers))
    attempt(lambda: executors.load(spec.executor.name, spec.executor.options).check(spec))
    device = attempt(lambda: _device_here(spec))
    if device is not None and not executors.elsewhere(spec.executor.name):
        attempt(lambda: devices_of_trials(spec.device, spec.devices_per_trial))
    dataset = attempt(lambda: _inspect(spec.data, base=base, observe=observe))
    if isinstance(dataset, data.Dataset):
        attempt(lambda: check_classes(spec, dataset.class_names))
        attempt(lambda: final_folds(spec, dataset))
    if problems:
        raise _together(problems)
    assert isinstance(dataset, data.Dataset) and isinstance(device, torch.device)
    return Prepared(spec, dataset, device, base)


def check_classes(spec: StudySpec, class_names: tuple[str, ...]) -> None:
    """Raise InputError when the metric does not fit the classes found in the data."""
    name, positive = spec.metric.name, spec.metric.positive_class
    if positive is not None and positive not in class_names:
        raise InputError(
            f"metric.positive_class '{positive}' is no class of the data."
            f"{did_you_mean(positive, class_names)} Classes: {', '.join(class_names)}."
        )
    if positive is None and metrics.needs_positive(name):
        raise InputError(
            f"metric '{name}' needs metric.positive_class. Classes: {', '.join(class_names)}."
        )
    if spec.threshold == "tune" and len(class_names) != 2:
        raise InputError(
            f"threshold: tune is for two classes, and the data has {len(class_names)}: "
            f"{', '.join(class_names)}. Leave it out."
        )


def final_folds(spec: StudySpec, dataset: data.Dataset) -> tuple[data.Dataset, ...]:
    """The data sets of the finals' folds; none where the finals use the study's own split."""
    if spec.finals is None or spec.finals.folds is None:
        return ()
    return data.folds(dataset, spec.finals.folds, seed=spec.data.split.seed)


def check_folder(artifacts: Path) -> None:
    """Raise UnavailableError where no checkpoint could be written; leaves nothing behind."""
    folder, made = artifacts.absolute(), list[Path]()
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"selector")
            file.flush()
    except OSError as error:
        raise UnavailableError(
            f"The artifacts folder '{artifacts}' cannot be written to: "
            f"{error.strerror or error}. Set SELECTOR_ARTIFACTS to another folder."
        ) from error
    finally:
        for path in made:
            # Not where another run has begun to use it.
            with suppress(OSError):
                path.rmdir()


def _problems_elsewhere(
    path: Path, *, base: Path, overrides: Sequence[str], observe: Observer
) -> list[str]:
    """What is wrong with data, backbones, sampler and pruner of a file that is wrong itself."""
    try:
        parts = readable_parts(path, overrides=overrides)
    except StudyFileError:
        return []  # no YAML at all, which is known already
    problems = []
    if parts.rest is not None:
        problems += search.member_problems(parts.rest, space_known=parts.space_known)
        problems += _executor_problems(parts.rest)
    for name in parts.backbones:
        try:
            backbones.check(name, weights="random")
        except SelectorError as problem:
            problems.append(str(problem))
    if parts.data is not None:
        try:
            _inspect(parts.data, base=base, observe=observe)
        except SelectorError as problem:
            problems.append(str(problem))
    return problems


def _executor_problems(spec: StudySpec) -> list[str]:
    try:
        executors.load(spec.executor.name, spec.executor.options)
    except SelectorError as problem:
        return str(problem).splitlines()
    return []


def _device_here(spec: StudySpec) -> torch.device:
    """The device of this process. Where workers sit elsewhere, the study's GPU need not be here."""
    names_here = spec.executor.name not in executors.NAMES or spec.device == "cpu"
    if names_here or not executors.elsewhere(spec.executor.name):
        return choose_device(spec.device)
    return choose_device("auto")


def _inspect(spec: DataSpec, *, base: Path, observe: Observer) -> data.Dataset:
    return data.inspect(
        spec,
        base=base,
        cache=load_settings().cache,
        progress=lambda done, total, label: observe(
            DataProgress(done=done, total=total, label=label)
        ),
    )


def _together(problems: list[SelectorError]) -> SelectorError:
    """One error with every problem; exit 4 only where the input itself is right."""
    lines = [str(problem) for problem in problems]
    if all(isinstance(problem, UnavailableError) for problem in problems):
        return UnavailableError("\n".join(lines))
    return ProblemsError(lines)
