"""What samplers and pruners have in common: options that are checked before a trial is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from selector.errors import InputError, did_you_mean


class Options(BaseModel):
    """Base of a member's options: every field is documented by its type and default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnyOptions = TypeVar("AnyOptions", bound=Options)


def read_options(
    family: str, name: str, schema: type[AnyOptions], given: Mapping[str, Any]
) -> AnyOptions:
    """The options of member `name`, or one InputError that lists every mistake in them."""
    try:
        return schema.model_validate(dict(given))
    except ValidationError as error:
        lines = [_line(family, name, schema, problem) for problem in error.errors()]
        raise InputError("\n".join(lines)) from None


def _line(family: str, name: str, schema: type[Options], problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    known = sorted(schema.model_fields)
    if problem["type"] == "extra_forbidden":
        options = ", ".join(known) or "none"
        return (
            f"{family} '{name}' has no option '{key}'.{did_you_mean(key, known)} "
            f"Its options: {options}."
        )
    return f"{family} '{name}': option '{key}' is {problem['input']!r}: {problem['msg']}."
