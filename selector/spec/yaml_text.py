"""YAML text -> plain Python values, with the place of every key and every mistake of the text.

YAML 1.2 core schema, where `1e-4` is a number and `no` a word; without tags, merge keys or a second
document. Built on ruamel.yaml's event stream, because its loaders stop at the first duplicate key
and know no place for a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from selector.errors import StudyFileError
from selector.spec.scalars import read_scalar

Keys = tuple[str | int, ...]

MAX_BYTES = 250_000  # ruamel takes quadratic time over some long words
TOO_LARGE = f"larger than {MAX_BYTES // 1000} kB; a study file is a page or two."
MAX_DEPTH = 20
MAX_VALUES = 20_000  # with every alias written out, so that a small file stays a small study


class Place(NamedTuple):
    """Where something was written: a file's line and column, both from 1, or an argument."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Problem(NamedTuple):
    """A mistake and its place; `hides` where the value is unknown, so that nothing follows."""

    keys: Keys
    place: Place
    message: str
    hides: bool = False


@dataclass(slots=True)
class Document:
    """Plain values, and for every path of keys where it stands in the text."""

    source: str
    value: Any = None
    places: dict[Keys, Place] = field(default_factory=dict)
    written: dict[Keys, str] = field(default_factory=dict)  # the characters of each scalar
    problems: list[Problem] = field(default_factory=list)


def read_yaml(text: str, *, source: str) -> Document:
    """The one document of `text`; StudyFileError if it is not YAML at all."""
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise StudyFileError([f"{source}: {TOO_LARGE}"])
    try:
        node = _Composer(source).compose(text)
    except MarkedYAMLError as error:
        raise StudyFileError([_syntax(error, text, source)]) from error
    except ReaderError as error:
        raise StudyFileError([_forbidden(error, text, source)]) from error
    except (YAMLError, ValueError) as error:
        # Numbers out of range in a `%YAML` line or an escape.
        raise StudyFileError([f"{source}: not YAML: {_one_line(str(error))}"]) from error
    document = Document(source)
    if node is not None:
        document.value = _Plain(document).of(node, ())
    return document


@dataclass(slots=True)
class _Node:
    """A piece of the document: text, a list of nodes or pairs of nodes."""

    place: Place
    content: str | list[_Node] | _Pairs
    plain: bool = False  # unquoted text
    tag: str | None = None
    size: int = 1


class _Pairs(list[tuple[_Node, _Node]]):
    """The keys and values of a mapping, duplicates included."""


class _Composer:
    """Events -> nodes; an alias shares the node of its anchor."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._anchors: dict[str, _Node] = {}
        self._written = 0

    def compose(self, text: str) -> _Node | None:
        events = YAML(typ="safe", pure=True).parse(text)
        root: _Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent):
                self._check_start(event, is_second=root is not None)
            elif isinstance(event, NodeEvent):
                root = self._node(event, events, depth=0)
        return root

    def _node(self, event: Any, events: Iterator[Any], *, depth: int) -> _Node:
        place = _place(event.start_mark, self._source)
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                way_out = "anchor it first with &, or put it in quotes where it is text."
                self._stop(place, f"unknown alias '*{event.anchor}'; {way_out}")
            return self._anchors[event.anchor]
        if depth > MAX_DEPTH:
            self._stop(place, f"nested deeper than {MAX_DEPTH} levels.")
        self._written += 1
        node = _Node(place, [], tag=event.tag)
        if isinstance(event, ScalarEvent):
            node.content, node.plain = event.value, not event.style
        elif isinstance(event, SequenceStartEvent):
            node.content = self._items(events, depth=depth + 1)
            node.size += sum(item.size for item in node.content)
        elif isinstance(event, MappingStartEvent):
            node.content = self._pairs(events, depth=depth + 1)
            node.size += sum(key.size + value.size for key, value in node.content)
        if max(node.size, self._written) > MAX_VALUES:
            self._stop(place, f"more than {MAX_VALUES} values, aliases written out.")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _items(self, events: Iterator[Any], *, depth: int) -> list[_Node]:
        items = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, depth=depth))
        return items

    def _pairs(self, events: Iterator[Any], *, depth: int) -> _Pairs:
        pairs = _Pairs()
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._node(event, events, depth=depth)
            pairs.append((key, self._node(next(events), events, depth=depth)))
        return pairs

    def _check_start(self, event: Any, *, is_second: bool) -> None:
        place = _place(event.start_mark, self._source)
        if is_second:
            self._stop(place, "a second document starts here; a study file holds one.")
        if event.version not in (None, (1, 2)):
            self._stop(place, "study files are YAML 1.2; drop the %YAML line.")

    def _stop(self, place: Place, message: str) -> NoReturn:
        raise StudyFileError([f"{place}: {message}"])


class _Plain:
    """Nodes -> plain values, noting places and mistakes in the document on the way."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def of(self, node: _Node, keys: Keys, place: Place | None = None) -> Any:
        self._document.places[keys] = place = place or node.place
        if node.tag is not None and node.tag != "!":
            message = f"tags such as {node.tag} are not allowed; remove it."
            return self._note(Problem(keys, place, message, hides=True))
        if isinstance(node.content, str):
            return self._scalar(node.content, keys, plain=node.plain)
        if isinstance(node.content, _Pairs):
            return self._mapping(node.content, keys)
        return [self.of(item, (*keys, i)) for i, item in enumerate(node.content)]

    def _scalar(self, text: str, keys: Keys, *, plain: bool) -> Any:
        try:
            self._document.written[keys], value = read_scalar(text, plain=plain)
        except ValueError as error:
            place = self._document.places[keys]
            return self._note(Problem(keys, place, str(error), hides=True))
        return value

    def _mapping(self, pairs: _Pairs, keys: Keys) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        first: dict[str, Place] = {}
        for key, value in pairs:
            name = key.content
            if not isinstance(name, str):
                self._note(Problem(keys, key.place, "a key is a word, not a list or mapping."))
            elif name in plain:
                message = f"duplicate key; '{name}' is already given in line {first[name].line}."
                self._note(Problem((*keys, name), key.place, message))
            else:
                first[name] = key.place
                plain[name] = self.of(value, (*keys, name), key.place)
        return plain

    def _note(self, problem: Problem) -> None:
        self._document.problems.append(problem)


def _place(mark: Any, source: str) -> Place:
    return Place(source, mark.line + 1, mark.column + 1)


def _syntax(error: MarkedYAMLError, text: str, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    at = _place(mark, source) if mark else Place(source)
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    problem = _one_line(str(error.problem or error.context))
    hint = ""
    if "\t" in problem or line.startswith("\t"):
        problem, hint = "a tab indents this line", " Indent with spaces."
    elif "${" in line:
        hint = ' Inside {...} and [...] a variable needs quotes: "${NAME:-default}".'
    return f"{at}: not YAML: {problem}.{hint}"


def _forbidden(error: ReaderError, text: str, source: str) -> str:
    before = text[: error.position]
    place = Place(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
    return f"{place}: not YAML: the character U+{ord(text[error.position]):04X} is not allowed."


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
