"""From a study file to a `StudySpec`, or to every mistake in it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from selector.errors import InputError, StudyFileError
from selector.spec import overrides as settings
from selector.spec import problems
from selector.spec.domains import values_of
from selector.spec.parameters import BACKBONE, show
from selector.spec.schema import DataSpec, StudySpec
from selector.spec.space import read_domain
from selector.spec.yaml_text import MAX_BYTES, Document, Keys, read_yaml

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


def from_plain(plain: Mapping[str, Any], *, source: str = "stored study") -> StudySpec:
    """`to_plain` backwards: the study of plain JSON types, where no variable is filled in."""
    return _validated(Document(source, dict(plain)))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a study file says where it is right; the rest of it may be wrong."""

    data: DataSpec | None
    backbones: tuple[str, ...]


def readable_parts(path: Path, *, overrides: Sequence[str] = ()) -> Parts:
    """The parts that can be checked against the world although the file has mistakes.

    So that one pass finds those mistakes and what is wrong with the data as well. StudyFileError
    or InputError where the file cannot be read at all.
    """
    document = _document(_text(Path(path)), source=str(path), overrides=overrides)
    search = document.value.get("search")
    return Parts(
        data=_or_none(lambda: DataSpec.model_validate(document.value.get("data"))),
        backbones=_or_none(
            lambda: tuple(
                str(name) for name in values_of(read_domain(BACKBONE, search["backbone"]))
            )
        )
        or (),
    )


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
        raise StudyFileError([f"{path}: larger than 1 MB; a study file is a page or two."])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        reason = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8."
        raise StudyFileError([f"{path}:{line}:{column}: {reason}"]) from error
