"""What is predicted: the menu of tasks."""

from __future__ import annotations

from selector.errors import UnknownNameError
from selector.tasks.base import Task

__all__ = ["Task", "load", "names"]


def names() -> tuple[str, ...]:
    """Every task's name, the default first."""
    return ("image_classification",)


def load(name: str) -> Task:
    """The task of this name."""
    match name:
        case "image_classification":
            from selector.tasks.image_classification import ImageClassification

            return ImageClassification()
        case _:
            raise UnknownNameError("task", name, names())
