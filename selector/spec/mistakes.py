"""How a validator reports several mistakes at once, each where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

KIND = "study_file"  # pydantic's error type of messages that are already worded for the user


class Mistake(NamedTuple):
    """A message, and the keys that lead from the value being checked to the place it is about."""

    where: tuple[str | int, ...]
    message: str
    value: object = None


def refuse(mistakes: Sequence[Mistake], earlier: ValidationError | None = None) -> None:
    """Raise all mistakes, after those of `earlier`; nothing happens where there are none."""
    details = [_again(error) for error in earlier.errors()] if earlier else []
    for where, message, value in mistakes:
        details.append(InitErrorDetails(type=_worded(message), loc=where, input=value))
    if details:
        raise ValidationError.from_exception_data("study", details)


def _again(error: ErrorDetails) -> InitErrorDetails:
    context = error.get("ctx", {})
    kind = _worded(context["message"]) if error["type"] == KIND else error["type"]
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=context)


def _worded(message: str) -> PydanticCustomError:
    return PydanticCustomError(KIND, "{message}", {"message": message})
