"""`--set key=value` arguments: they replace values of a study file before it is checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from selector.errors import StudyFileError
from selector.spec.schema import StudySpec
from selector.spec.space import KINDS
from selector.spec.yaml_text import Document, Keys, Place, Problem, read_yaml

# A backbone's name may hold dots itself: `backbones.timm:vit_tiny.augreg.search.lr`.
_OF_BACKBONE = re.compile(r"backbones\.(.+?)\.(weights|search(?:\..+)?)")
_MEMBERS = ("sampler", "pruner")


def apply(document: Document, overrides: Sequence[str]) -> None:
    """Set each `key=value` in the document, the last one winning; mistakes are noted there."""
    for override in overrides:
        place = Place(f"--set {override}")
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            message = "write key=value, for example search.lr=1e-3."
            document.problems.append(Problem((), place, message))
            continue
        keys = _split(key.strip())
        try:
            value = read_yaml(text, source=key)
        except StudyFileError as error:
            reason = error.problems[0].partition(": ")[2]
            document.problems.append(Problem(keys, place, f"{reason} The value is read as YAML."))
            continue
        _set(document, keys, value, place)


def _split(key: str) -> tuple[str, ...]:
    match = _OF_BACKBONE.fullmatch(key)
    if match:
        return ("backbones", match[1], *match[2].split("."))
    if key.startswith("backbones.") and key.count(".") > 1:
        first, _, rest = key.partition(".")
        return (first, *rest.rsplit(".", 1))
    return tuple(key.split("."))


def _set(document: Document, keys: tuple[str, ...], new: Document, place: Place) -> None:
    value = new.value
    if len(keys) > 2 and keys[-3] == "search" and keys[-1] in KINDS:
        # A domain has one kind: `search.lr.uniform=[0, 1]` is `search.lr={uniform: [0, 1]}`.
        value, keys = {keys[-1]: value}, keys[:-1]
    target = _container(document, keys, place)
    if target is None:
        return
    target[keys[-1]] = value
    _forget(document, keys)
    for n in range(1, len(keys)):
        document.places.setdefault(keys[:n], place)
    document.places[keys] = place
    for inner, text in new.written.items():
        document.written[(*keys, *inner)] = text
    for inner in new.places:
        document.places[(*keys, *inner)] = place
    document.problems += [
        problem._replace(keys=(*keys, *problem.keys), place=place) for problem in new.problems
    ]


def _container(document: Document, keys: tuple[str, ...], place: Place) -> dict[str, Any] | None:
    """The mapping that holds the last key, made where the file leaves it out."""
    target: dict[str, Any] = document.value
    for n, key in enumerate(keys[:-1], start=1):
        inner = target.get(key)
        if n == 1 and key in _MEMBERS and not isinstance(inner, dict):
            inner = {"name": inner or StudySpec.model_fields[key].default.name}
        if inner is None:
            inner = {}
        if not isinstance(inner, dict):
            message = f"{'.'.join(keys[:n])} has no keys of its own; set it as a whole."
            document.problems.append(Problem(keys, place, message))
            return None
        target[key] = inner
        target = inner
    return target


def _forget(document: Document, keys: Keys) -> None:
    """Drop what the file said below `keys`: its places, and mistakes that no longer matter."""
    n = len(keys)
    document.places = {old: at for old, at in document.places.items() if old[:n] != keys}
    document.written = {old: text for old, text in document.written.items() if old[:n] != keys}
    document.problems = [
        problem for problem in document.problems if not (problem.hides and problem.keys[:n] == keys)
    ]
