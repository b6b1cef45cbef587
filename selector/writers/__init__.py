"""The menu of writers: what shows trials in other tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from selector.errors import ProblemsError, SelectorError, UnavailableError, UnknownNameError
from selector.events import Observer
from selector.records import StudyRow
from selector.spec.schema import MemberSpec
from selector.writers.base import Member, desk_of, heard

NAMES = ("tensorboard", "mlflow")


def load(name: str) -> Member:
    """The kind of writer called `name`."""
    match name:
        case "tensorboard":
            from selector.writers.tensorboard import TensorBoard

            return TensorBoard()
        case "mlflow":
            from selector.writers.mlflow import MLflow

            return MLflow()
    raise UnknownNameError("writer", name, NAMES)


def check(wanted: Sequence[MemberSpec]) -> None:
    """Raise one error with all that is wrong with the study's writers: names, options, packages."""
    problems: list[SelectorError] = []
    for each in wanted:
        try:
            load(each.name).check(each.options)
        except SelectorError as problem:
            problems.append(problem)
    if problems:
        lines = [str(problem) for problem in problems]
        if all(isinstance(problem, UnavailableError) for problem in problems):
            raise UnavailableError("\n".join(lines))
        raise ProblemsError(lines)


@contextmanager
def writing(
    wanted: Sequence[MemberSpec],
    study: StudyRow,
    *,
    folder: Path,
    base: Path,
    observe: Observer,
) -> Iterator[Observer]:
    """An observer that has the study's writers hear what it hears, besides `observe`.

    `folder` is that of all artifacts, `base` where relative paths of the study file start.
    """
    members = [(each.name, load(each.name), each.options) for each in wanted]
    with heard(members, desk_of(study, folder=folder, base=base), observe=observe) as hear:
        yield hear
