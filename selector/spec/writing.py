"""A study written back: as plain JSON, as YAML to read, and as a hash."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

from selector.spec.durations import write_duration
from selector.spec.scalars import escape
from selector.spec.schema import StudySpec

_FLOW_WIDTH = 88  # a mapping or list that fits is written on one line


def to_plain(spec: StudySpec) -> dict[str, Any]:
    """The resolved study, every default filled in, as plain JSON types in the file's own syntax."""
    return spec.model_dump(mode="json")


def spec_sha256(spec: StudySpec) -> str:
    """A hash of the resolved study: the same for files that mean the same."""
    plain = json.dumps(
        to_plain(spec),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return hashlib.sha256(plain.encode()).hexdigest()


def to_yaml(spec: StudySpec) -> str:
    """The resolved study as a study file that reads back to the same study."""
    from ruamel.yaml import YAML

    plain = to_plain(spec)
    for key in ("time", "trial_time"):
        if plain["budget"][key] is not None:
            plain["budget"][key] = write_duration(plain["budget"][key])
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 1_000_000  # a folded line would be harder to read than a long one
    yaml.allow_unicode = True
    yaml.representer.add_representer(type(None), _null)
    text = io.StringIO()
    yaml.dump({key: _styled(value, indent=len(key) + 2) for key, value in plain.items()}, text)
    return text.getvalue()


def _null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _styled(value: Any, *, indent: int) -> Any:
    """`value` for the writer: on one line where it fits, variables kept from being filled in."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, str):
        return _quoted(escape(value))
    if isinstance(value, Mapping):
        pairs = {_quoted(key): _styled(item, indent=len(key) + 4) for key, item in value.items()}
        return _fold(CommentedMap(pairs), value, indent)
    if isinstance(value, list | tuple):
        return _fold(CommentedSeq([_styled(item, indent=4) for item in value]), value, indent)
    return value


def _quoted(text: str) -> str:
    """The text in quotes where a plain scalar would lose what YAML takes for the end of a line."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    return text if text.isprintable() else DoubleQuotedScalarString(text)


def _fold(styled: Any, plain: Any, indent: int) -> Any:
    """The style: one line for a domain or a short list, a block where more than that is nested."""
    values = plain.values() if isinstance(plain, Mapping) else plain
    holds_mappings = any(isinstance(value, Mapping) for value in values)
    short = indent + len(json.dumps(plain, ensure_ascii=False)) <= _FLOW_WIDTH
    if not plain or (short and not holds_mappings):
        styled.fa.set_flow_style()
    else:
        styled.fa.set_block_style()
    return styled
