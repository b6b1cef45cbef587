"""The study file's JSON Schema, with which an editor completes and checks while one types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selector import metrics
from selector.spec.durations import PATTERN
from selector.spec.parameters import BACKBONE, PARAMETERS, Parameter
from selector.spec.schema import MAY_BE_EMPTY, SearchSpec, StudySpec
from selector.spec.space import write_domain

Node = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE: Node = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}"}
_REFERENCE: Node = {"$ref": "#/$defs/Variable"}
_DURATION: Node = {
    "anyOf": [
        {"type": "string", "pattern": PATTERN},
        {"type": "number", "exclusiveMinimum": 0},
    ],
    "description": "90s, 45m, 6h, 2d, 1h30m or a number of seconds",
}
_NULL: Node = {"type": "null"}
_MEMBER_KEYS = ("sampler", "pruner", "executor")
# Text keys take a scalar's characters as written, so a class may be called 007.
_TEXT = ["string", "number", "boolean"]
_NARROW = ("integer", "number", "boolean")
_BELOW_MAPPING = ("properties", "$defs")
_BELOW_LIST = ("anyOf", "oneOf")
_BELOW = ("items", "additionalProperties")


def json_schema(*, members: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """The schema of study files as users write them, in plain JSON types.

    `members` lists the known names of `sampler`, `pruner`, `executor`, `writers` and `metric`.
    Without it any of the first four will do, and all metrics are known.
    """
    names = {"metric": metrics.names(), **(members or {})}
    schema = StudySpec.model_json_schema()
    parts = schema["$defs"]
    parts.pop("MemberSpec")
    parts["SearchSpec"]["properties"] = _search()
    parts["BackboneSpec"]["properties"]["search"] = _closed(_domains(PARAMETERS))
    parts["MetricSpec"]["properties"]["name"] = {"enum": list(names["metric"])}
    parts["DataSpec"]["oneOf"] = [_given("path"), _given("source")]
    for key in ("time", "trial_time"):
        parts["BudgetSpec"]["properties"][key] = {"anyOf": [_DURATION, _NULL]}
    properties = schema["properties"]
    for key in _MEMBER_KEYS:
        properties[key] = _member(names.get(key))
    properties["pruner"]["anyOf"].append(_NULL)
    values = {name: _value(parameter) for name, parameter in _all_parameters().items()}
    start = {**_closed(values), "minProperties": 1}
    properties["start_from"] = {"type": "array", "items": start}
    parts["FinalsSpec"]["properties"]["folds"] = {
        "anyOf": [{"enum": ["none"]}, {"type": "integer", "minimum": 2, "maximum": 20}]
    }
    properties["writers"] = {"type": "array", "items": _member(names.get("writers"))}
    properties["notify"] = {"$ref": "#/$defs/NotifySpec"}
    for key in ("url", "command"):
        one_of = parts["NotifySpec"].setdefault("anyOf", [])
        one_of.append(_given(key))
    properties["finals"] = {"anyOf": [{"enum": ["off"]}, {"$ref": "#/$defs/FinalsSpec"}]}
    history = {"anyOf": [{"enum": ["off", "auto"]}, {"$ref": "#/$defs/HistorySpec"}]}
    properties["history"] = {**history, "default": "off"}
    for key in MAY_BE_EMPTY:
        properties[key] = {"anyOf": [_without_notes(properties[key]), _NULL]}
    opened = _open(schema)
    opened["$defs"]["Variable"] = _VARIABLE
    return {"$schema": _DIALECT, **opened}


def _search() -> dict[str, Node]:
    domains = _domains(_all_parameters())
    for name, info in SearchSpec.model_fields.items():
        if not info.is_required():
            domains[name]["default"] = write_domain(info.default)
    return domains


def _domains(parameters: Mapping[str, Parameter]) -> dict[str, Node]:
    return {name: _domain(parameter) for name, parameter in parameters.items()}


def _domain(parameter: Parameter) -> Node:
    value = _value(parameter)
    choices = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
    ends = {"type": "array", "items": value, "minItems": 2, "maxItems": 2}
    forms = [value, choices, _range("choice", choices)]
    if parameter.kind == "real":
        step = {"type": "number", "exclusiveMinimum": 0}
        forms += [_range("uniform", ends, step=step), _range("log_uniform", ends)]
    if parameter.kind == "int":
        step = {"type": "integer", "minimum": 1}
        forms.append(_range("int", ends, step=step, log={"type": "boolean"}))
    return {"anyOf": forms, "description": parameter.allowed}


def _value(parameter: Parameter) -> Node:
    if parameter.kind == "name":
        return {"enum": list(parameter.names)} if parameter.names else {"type": "string"}
    node: Node = {"type": "integer" if parameter.kind == "int" else "number"}
    node["exclusiveMinimum" if parameter.without_low else "minimum"] = parameter.low
    if parameter.high is not None:
        node["exclusiveMaximum" if parameter.without_high else "maximum"] = parameter.high
    return node


def _range(kind: str, ends: Node, **beside: Node) -> Node:
    return {**_closed({kind: ends, **beside}), "required": [kind]}


def _member(names: Sequence[str] | None) -> Node:
    name: Node = {"enum": list(names)} if names else {"type": "string", "minLength": 1}
    options = {"type": "object", "properties": {"name": name}, "required": ["name"]}
    return {"anyOf": [name, options]}


def _given(key: str) -> Node:
    return {"required": [key], "properties": {key: {"not": _NULL}}}


def _closed(properties: Mapping[str, Node]) -> Node:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _all_parameters() -> dict[str, Parameter]:
    return {BACKBONE.name: BACKBONE, **PARAMETERS}


def _without_notes(node: Node) -> Node:
    return {key: value for key, value in node.items() if key not in ("default", "title")}


def _open(node: Any) -> Any:
    """The node, with `${NAME}` allowed wherever one scalar stands, and without titles."""
    if not isinstance(node, dict):
        return node
    opened: Node = {}
    for key, value in node.items():
        if key in _BELOW_MAPPING:
            opened[key] = {name: _open(part) for name, part in value.items()}
        elif key in _BELOW_LIST:
            opened[key] = [_open(part) for part in value]
        elif key in _BELOW:
            opened[key] = _open(value)
        elif key != "title":  # pydantic's titles repeat the key
            opened[key] = value
    if opened.get("type") == "string" and "enum" not in opened:
        opened["type"] = _TEXT
    narrow = {"enum", "pattern"} & opened.keys() or opened.get("type") in _NARROW
    return {"anyOf": [opened, _REFERENCE]} if narrow else opened
