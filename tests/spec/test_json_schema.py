from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from selector.errors import StudyFileError
from selector.spec import from_plain, json_schema, parse_study, to_plain
from selector.spec.yaml_text import read_yaml

from .conftest import MINIMAL
from .drawn import studies

SCHEMA = json_schema(members={"sampler": ["tpe", "random"], "pruner": ["median", "none"]})
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def accepts(node: dict[str, Any], value: Any, *, root: dict[str, Any]) -> bool:
    """JSON Schema's own rules, as far as the study file's schema uses them."""
    known = _KEYWORDS | {"default", "description", "title", "$defs", "$schema"}
    assert node.keys() <= known, node.keys() - known
    if "$ref" in node:
        target = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
        if not accepts(target, value, root=root):
            return False
    if "not" in node and accepts(node["not"], value, root=root):
        return False
    for key, wanted in (("anyOf", range(1, 99)), ("oneOf", range(1, 2))):
        if key in node and sum(accepts(n, value, root=root) for n in node[key]) not in wanted:
            return False
    return (
        _scalar_fits(node, value)
        and _object_fits(node, value, root)
        and _array_fits(node, value, root)
    )


_KEYWORDS = {
    *("$ref", "not", "anyOf", "oneOf", "type", "enum", "const", "minimum", "maximum"),
    "exclusiveMinimum",
    *("exclusiveMaximum", "pattern", "minLength", "required", "properties", "minProperties"),
    *("additionalProperties", "items", "minItems", "maxItems", "uniqueItems"),
}


def _is(kind: str, value: Any) -> bool:
    if kind in ("number", "integer"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (kind == "number" or value == int(value))
    return isinstance(value, _TYPES[kind])


def _scalar_fits(node: dict[str, Any], value: Any) -> bool:
    kinds = node.get("type", [])
    if kinds and not any(_is(k, value) for k in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if "enum" in node and value not in node["enum"]:
        return False
    if "const" in node and value != node["const"]:
        return False
    if isinstance(value, str):
        found = re.search(node.get("pattern", ""), value)
        return bool(found) and len(value) >= node.get("minLength", 0)
    if _is("number", value):
        return (
            node.get("minimum", value) <= value <= node.get("maximum", value)
            and value > node.get("exclusiveMinimum", value - 1)
            and value < node.get("exclusiveMaximum", value + 1)
        )
    return True


def _object_fits(node: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    if len(value) < node.get("minProperties", 0) or set(node.get("required", ())) - value.keys():
        return False
    for key, item in value.items():
        part = node.get("properties", {}).get(key, node.get("additionalProperties", True))
        if part is False or (isinstance(part, dict) and not accepts(part, item, root=root)):
            return False
    return True


def _array_fits(node: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    if not isinstance(value, list):
        return True
    if not node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value)):
        return False
    if node.get("uniqueItems") and len({repr(item) for item in value}) != len(value):
        return False
    return all(accepts(node.get("items", {}), item, root=root) for item in value)


def fits(text: str) -> bool:
    return accepts(SCHEMA, read_yaml(text, source="f").value, root=SCHEMA)


def test_the_schema_is_plain_json_with_its_dialect() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "default" not in SCHEMA["$defs"]["SearchSpec"]["properties"]["backbone"]
    lr = SCHEMA["$defs"]["SearchSpec"]["properties"]["lr"]
    assert lr["default"] == {"log_uniform": [1e-5, 1e-2]}


@pytest.mark.parametrize(
    "line",
    [
        "  lr: 1e-3",
        "  lr: [1e-3, 1e-2]",
        "  lr: {log_uniform: [1e-5, 1]}",
        "  label_smoothing: {uniform: [0, 0.2], step: 0.1}",
        "  batch_size: {int: [8, 64], log: true}",
        "  optimizer: [adamw, sgd]",
        "budget: {time: 1h30m, trial_time: 90}",
        "budget:",
        'budget: {trials: "${TRIALS:-20}"}',
        "pruner: null",
        "pruner: none",
        "sampler: {name: tpe, n_startup_trials: 5}",
        "start_from: [{backbone: toy:cnn, lr: 1e-3}]",
        "backbones: {toy:cnn: {weights: x, search: {lr: {uniform: [0.1, 0.2]}}}}",
        "device: cuda:1",
        "weights: ${WEIGHTS:-random}",
        "training: {class_weights: balanced, precision: bf16}",
    ],
)
def test_what_parses_fits_the_schema(line: str) -> None:
    parse_study(f"{MINIMAL}{line}\n")
    assert fits(f"{MINIMAL}{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "  lr: 0",
        "  lr: abc",
        "  lr: []",
        "  lr: [1, 1]",
        "  lr: {log_uniform: [1]}",
        "  lr: {log_unifrom: [1, 2]}",
        "  lr: {log_uniform: [1, 2], step: 3}",
        "  freeze_depth: {int: [0, 6]}",
        "  batch_size: 16.5",
        "  optimizer: adam",
        "  lrr: 1",
        "serch: 1",
        "budget: {trials: 0}",
        "budget: {trials: true}",
        "budget: {time: 45 minutes}",
        "start_from: [{lrr: 1}]",
        "start_from: [{}]",
        "backbones: {toy:cnn: {search: {backbone: x}}}",
        "sampler: {steps: 3}",
        "device: gpu",
    ],
)
def test_what_the_schema_can_know_to_be_wrong_does_not_fit(line: str) -> None:
    with pytest.raises(StudyFileError):
        parse_study(f"{MINIMAL}{line}\n")
    assert not fits(f"{MINIMAL}{line}\n")


def test_known_names_of_members_and_metrics_are_enumerated() -> None:
    assert not fits(f"{MINIMAL}sampler: tpee\n")
    assert not fits(f"{MINIMAL}pruner: {{name: medain}}\n")
    assert not fits(MINIMAL.replace("f1_macro", "f1_mcro"))
    free = json_schema()
    value = read_yaml(f"{MINIMAL}sampler: anything\n", source="f").value
    assert accepts(free, value, root=free)


@pytest.mark.parametrize(
    "data", ["{}", "{path: a, source: b}", "{path: null}", "{path: a, sorce: b}"]
)
def test_data_has_one_origin(data: str) -> None:
    assert not fits(MINIMAL.replace("{path: data/flowers}", data))


@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(studies())
def test_every_legal_study_fits_the_schema_and_so_does_its_resolved_form(
    plain: dict[str, Any],
) -> None:
    free = json_schema()
    assert accepts(free, plain, root=free)
    assert accepts(free, to_plain(from_plain(plain)), root=free)
