"""Options of a writer, checked before a trial is spent."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from selector.errors import InputError, UnavailableError, did_you_mean
from selector.writers.base import Options

AnyOptions = TypeVar("AnyOptions", bound=Options)


def read_options(name: str, schema: type[AnyOptions], given: Mapping[str, Any]) -> AnyOptions:
    """The options of writer `name`, or one InputError with a line for every mistake in them."""
    try:
        return schema.model_validate(dict(given))
    except ValidationError as error:
        lines = [_line(name, schema, problem) for problem in error.errors()]
        raise InputError("\n".join(lines)) from None


def require(package: str, *, extra: str) -> None:
    """Raise UnavailableError where the package is missing, with the command that installs it."""
    try:
        found = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise UnavailableError(
            f"Writer '{extra}' needs a package that is not installed. "
            f"Install it: pip install 'selector-finetune[{extra}]', or leave the writer out."
        )


def _line(name: str, schema: type[Options], problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    known = sorted(schema.model_fields)
    if problem["type"] == "extra_forbidden":
        return (
            f"Writer '{name}' has no option '{key}'.{did_you_mean(key, known)} "
            f"Its options: {', '.join(known)}."
        )
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"Writer '{name}': option '{key}': {message}"
