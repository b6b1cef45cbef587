"""From a study file to a `StudySpec`, or to every mistake in it at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from selector import metrics
from selector.errors import InputError, StudyFileError
from selector.spec import overrides as settings
from selector.spec import problems
from selector.spec.domains import values_of
from selector.spec.parameters import BACKBONE, show
from selector.spec.schema import DataSpec, StudySpec
from selector.spec.space import read_domain
from selector.spec.yaml_text import MAX_BYTES, TOO_LARGE, Document, Keys, read_yaml

_Read = TypeVar("_Read")


def load_study(path: Path, *, overrides: Sequence[str] = ()) -> StudySpec:
    """The study of the file at `path`, with `key=value` overrides; StudyFileError if it is wrong.

    InputError if there is no such file or it cannot be read.
    """
    return parse_study(_text(Path(path)), source=str(path), overrides=overrides)


def parse_study(
    text: str, *, source: str = "study.yaml", overrides: Sequence[str] = ()
) -> StudySpec:
    """The study that `text` describes; `source` names it in messages."""
    return _validated(_document(text, source=source, overrides=overrides))


def from_plain(plain: Mapping[str, Any]) -> StudySpec:
    """`to_plain` backwards: the study of plain JSON types, where no variable is filled in."""
    return _validated(Document("stored study", dict(plain)))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a study file says where it is right; the rest of it may be wrong."""

    data: DataSpec | None
    backbones: tuple[str, ...]
    rest: StudySpec | None  # defaults stand for what is wrong
    space_known: bool  # nothing in `rest` stands for a part of the search space


# What a study cannot be without, where it is wrong: something that fits all else.
_STAND_INS: Mapping[Keys, Any] = {
    ("name",): "study",
    ("data",): {"source": "builtin:digits"},
    ("metric",): {"name": metrics.DEFAULT, "goal": metrics.goal_of(metrics.DEFAULT)},
    ("search",): {"backbone": "toy:cnn"},
    ("search", "backbone"): "toy:cnn",
}
_SPACE = (("search",), ("backbones",), ("start_from",))


def readable_parts(path: Path, *, overrides: Sequence[str] = ()) -> Parts:
    """The parts that can be checked against the world although the file has mistakes.

    So that one pass finds those mistakes and what is wrong with the data as well. StudyFileError
    or InputError where the file cannot be read at all.
    """
    document = _document(_text(Path(path)), source=str(path), overrides=overrides)
    search = document.value.get("search")
    rest, left_out = _without_mistakes(document.value)
    return Parts(
        rest=rest,
        space_known=not any(keys[:1] in _SPACE for keys in left_out),
        data=_or_none(lambda: DataSpec.model_validate(document.value.get("data"))),
        backbones=_or_none(
            lambda: tuple(
                str(name) for name in values_of(read_domain(BACKBONE, search["backbone"]))
            )
        )
        or (),
    )


def _without_mistakes(written: dict[str, Any]) -> tuple[StudySpec | None, set[Keys]]:
    """The study with whatever is wrong left out, and the keys of what was."""
    value, left_out = copy.deepcopy(written), set[Keys]()
    # Leaving out one key can make another wrong, so it may take a few rounds; each shortens it.
    while True:
        try:
            return StudySpec.model_validate(value), left_out
        except ValidationError as error:
            wrong = {_leave_out(value, details["loc"]) for details in error.errors()}
        if wrong <= left_out:
            return None, left_out
        left_out |= wrong


def _leave_out(value: dict[str, Any], keys: Keys) -> Keys:
    """Take out what is wrong at `keys`, or put its stand-in there; the keys where that was."""
    for n in range(len(keys), 0, -1):
        *above, last = keys[:n]
        section = _at(value, above)
        if keys[:n] in _STAND_INS and isinstance(section, dict):
            section[last] = copy.deepcopy(_STAND_INS[keys[:n]])
            return keys[:n]
        if isinstance(section, dict) and last in section:
            del section[last]
            return keys[:n]
    return keys


def _at(value: Any, keys: Sequence[str | int]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _or_none(read: Callable[[], _Read]) -> _Read | None:
    try:
        return read()
    except (ValueError, TypeError, LookupError):
        return None  # already among the file's own mistakes


def _document(text: str, *, source: str, overrides: Sequence[str]) -> Document:
    document = read_yaml(text, source=source)
    if not isinstance(document.value, dict):
        raise StudyFileError([_not_a_study(document)])
    settings.apply(document, overrides)
    return document


def _validated(document: Document) -> StudySpec:
    spec: StudySpec | None = None
    error: ValidationError | None = None
    try:
        spec = _validate(document)
    except ValidationError as wrong:
        error = wrong
    found = problems.lines(document, error)
    if found or spec is None:
        raise StudyFileError(found) from error
    return spec


def _validate(document: Document) -> StudySpec:
    try:
        return StudySpec.model_validate(document.value)
    except ValidationError as error:
        if not _text_as_written(document, error):
            raise
    return StudySpec.model_validate(document.value)


def _text_as_written(document: Document, error: ValidationError) -> bool:
    """Give text keys the characters as written: a class may be called `007`, a column `yes`.

    Without this, YAML's idea of a number would ask the user for quotes. True if anything changed.
    """
    changed = False
    for details in error.errors():
        keys, value = details["loc"], details["input"]
        if details["type"] == "string_type" and value is not None and keys in document.written:
            _replace(document.value, keys, document.written[keys])
            changed = True
    return changed


def _replace(value: Any, keys: Keys, text: str) -> None:
    *above, last = keys
    for key in above:
        value = value[key]
    value[last] = text


def _not_a_study(document: Document) -> str:
    if document.problems:
        problem = document.problems[0]
        return f"{problem.place}: {problem.message}"
    got = "an empty file" if document.value is None else show(document.value)
    need = "a study file is a mapping that starts with name:, data:, metric: and search:"
    return f"{problems.place_of(document, ())}: found {got}; {need}."


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"No study file at '{path}'. Write one, or run selector init.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the study file '{path}': {error}.") from error
    if len(raw) > MAX_BYTES:
        raise StudyFileError([f"{path}: {TOO_LARGE}"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        reason = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8."
        raise StudyFileError([f"{path}:{line}:{column}: {reason}"]) from error
