"""The search: Optuna proposes, workers train, the store remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from selector import backbones
from selector.errors import ProblemsError, SelectorError, UnavailableError
from selector.search import limits, pruners, samplers
from selector.search.recipe import weights_of
from selector.spec import StudySpec
from selector.spec.domains import AnyDomain, Choice, Fixed


def check(spec: StudySpec, *, base: Path) -> None:
    """Build every part of a study once, before a trial is spent.

    Raises one ProblemsError (exit 2) that lists all mistakes, or UnavailableError (exit 4) when
    only weights or packages are missing.
    """
    problems: list[SelectorError] = []
    for part in (_check_sampler, _check_pruner, limits.check):
        try:
            part(spec)
        except SelectorError as problem:
            problems.append(problem)
    for name in spec.backbone_names:
        try:
            _check_backbone(spec, name, base=base)
        except SelectorError as problem:
            problems.append(problem)
    if not problems:
        return
    kind = UnavailableError if all(isinstance(p, UnavailableError) for p in problems) else None
    lines = [str(problem) for problem in problems]
    raise kind("\n".join(lines)) if kind else ProblemsError(lines)


def member_problems(spec: StudySpec, *, space_known: bool) -> list[str]:
    """What is wrong with sampler and pruner, one line each, of a study whose rest may be made up.

    Where `space_known` is False, only what their names and options make wrong by themselves.
    """
    problems = _lines_of(_check_sampler, spec) + _lines_of(_check_pruner, spec)
    if space_known:
        return problems
    bare = spec.model_copy(
        update={
            "sampler": spec.sampler.model_copy(update={"options": {}}),
            "pruner": spec.pruner.model_copy(update={"options": {}}),
        }
    )
    # An unknown name is wrong under any options, and so is a sampler that the space does not fit.
    unfit = _lines_of(_check_sampler, bare) if spec.sampler.name in samplers.NAMES else []
    return [problem for problem in problems if problem not in unfit]


def _lines_of(part: Callable[[StudySpec], None], spec: StudySpec) -> list[str]:
    try:
        part(spec)
    except SelectorError as problem:
        return str(problem).splitlines()
    return []


def _check_sampler(spec: StudySpec) -> None:
    samplers.load(spec.sampler.name).check(spec, spec.sampler.options)


def _check_pruner(spec: StudySpec) -> None:
    pruners.load(spec.pruner.name).build(spec, spec.pruner.options)


def _check_backbone(spec: StudySpec, name: str, *, base: Path) -> None:
    """Build the backbone at the ends of its image sizes: weights, cuts and sizes all show now."""
    weights = weights_of(spec, name, base=base)
    backbones.check(name, weights=weights)
    for size in _image_sizes(spec.space_of(name)["image_size"]):
        backbones.load(name, weights=weights, image_size=size, seed=spec.seed)


def _image_sizes(domain: AnyDomain) -> Sequence[int]:
    match domain:
        case Fixed(value):
            return (int(value),)
        case Choice(values):
            return tuple(int(value) for value in values)
        case _:
            return (int(domain.low), int(domain.high))
