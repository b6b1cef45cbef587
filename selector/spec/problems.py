"""pydantic's errors in the user's words, each at its place: `study.yaml:6:3: search.lr: ...`."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from selector.errors import did_you_mean
from selector.spec.mistakes import KIND
from selector.spec.parameters import show
from selector.spec.schema import StudySpec
from selector.spec.section import Section
from selector.spec.yaml_text import Document, Keys, Place, Problem

MOST_LINES = 200
_MOST_CHARACTERS = 2000  # of one line: a value in it may be as long as the whole file
_KINDS = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "finite_number": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "model_type": "a mapping of keys",
    "string_type": "text",
}
_PATTERNS: dict[Keys, str] = {
    ("name",): "lower-case letters, digits, '.', '_' and '-', a letter or digit first, at most 193",
    ("limits", "device"): "auto, cpu, cuda or cuda:0",
    ("device",): "auto, cpu, cuda or cuda:0",
}
_REQUIRED: dict[Keys, str] = {
    ("name",): "the name the study is stored under",
    ("data",): "for example data: {path: data/flowers}",
    ("metric",): "for example metric: {name: f1_macro, goal: maximize}",
    ("metric", "name"): "for example name: f1_macro",
    ("metric", "goal"): "goal: maximize or goal: minimize",
    ("search",): "for example search: {backbone: [timm:resnet18]}",
    ("search", "backbone"): "for example backbone: [timm:resnet18, timm:convnext_atto]",
}


def lines(document: Document, error: ValidationError | None) -> list[str]:
    """Every problem of the text and of its values as one line, in the order of the file."""
    problems = list(document.problems)
    unknown = [problem.keys for problem in problems if problem.hides]
    for details in error.errors() if error else ():
        keys = details["loc"]
        if not any(_related(keys, other) for other in unknown):
            problems.append(Problem(keys, place_of(document, keys), _message(details)))
    problems.sort(key=lambda problem: (not problem.place.line, *problem.place[1:]))
    found = list(dict.fromkeys(_line(problem) for problem in problems))
    more = len(found) - MOST_LINES
    if more <= 0:
        return found
    return [*found[:MOST_LINES], f"{document.source}: and {more} more mistakes."]


def place_of(document: Document, keys: Keys) -> Place:
    """Where `keys` were written, or the nearest thing around them that was."""
    for n in range(len(keys), -1, -1):
        if keys[:n] in document.places:
            return document.places[keys[:n]]
    return Place(document.source)


def dotted(keys: Keys) -> str:
    """`search.lr`, `start_from[1].lr`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def _line(problem: Problem) -> str:
    key = dotted(problem.keys)
    named = not key or str(problem.place).startswith(f"--set {key}=")
    text = " ".join(problem.message.split())
    line = f"{problem.place}: {text}" if named else f"{problem.place}: {key}: {text}"
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}..."


def _related(keys: Keys, other: Keys) -> bool:
    n = min(len(keys), len(other))
    return n > 0 and keys[:n] == other[:n]


def _message(error: ErrorDetails) -> str:
    keys, value, context = error["loc"], error["input"], error.get("ctx", {})
    match error["type"]:
        case kind if kind == KIND:
            return str(context["message"])
        case "value_error":
            return str(context["error"])
        case "missing":
            example = f"; {_REQUIRED[keys]}" if keys in _REQUIRED else ""
            return f"is required{example}."
        case "extra_forbidden":
            return _unknown_key(keys)
        case "literal_error":
            return _not_allowed(value, str(context["expected"]))
        case "string_pattern_mismatch":
            return f"{show(value)} is not allowed. Allowed: {_PATTERNS.get(keys, 'another form')}."
        case "string_too_short":
            return "the text is empty; write one, or leave the key out."
        case kind if kind in _KINDS:
            return f"expected {_KINDS[kind]}, got {show(value)}."
        case _:
            reason = error["msg"].removeprefix("Input ")
            return f"{show(value)} {reason}."


def _not_allowed(value: Any, expected: str) -> str:
    choices = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(str(value), choices)
    return f"{show(value)} is not allowed.{hint} Allowed: {', '.join(choices)}."


def _unknown_key(keys: Keys) -> str:
    *above, key = keys
    known = tuple(_section(tuple(above)).model_fields)
    hint = did_you_mean(str(key), known)
    if not hint:
        elsewhere = [place for place in _all_keys() if place.split(".")[-1] == key]
        hint = f" Did you mean '{elsewhere[0]}'?" if len(elsewhere) == 1 else ""
    return f"unknown key.{hint} Known: {', '.join(known)}."


def _section(keys: Keys) -> type[Section]:
    """The part of the study file that `keys` lead to."""
    section: type[Section] = StudySpec
    inside = None  # the sections of a mapping by name, such as `backbones`
    for key in keys:
        if inside is not None:
            section, inside = inside, None
            continue
        annotation = section.model_fields[str(key)].annotation
        if get_origin(annotation) is dict:
            inside = get_args(annotation)[1]
        else:
            section = _part_of(annotation) or section
    return section


def _part_of(annotation: Any) -> type[Section] | None:
    """The section that a key holds, though it may also be switched off."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def _all_keys(section: type[Section] = StudySpec, above: str = "") -> list[str]:
    keys: list[str] = []
    for name, info in section.model_fields.items():
        keys.append(f"{above}{name}")
        if (part := _part_of(info.annotation)) is not None:
            keys += _all_keys(part, f"{above}{name}.")
    return keys
