from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings

from selector.spec import from_plain, parse_study, spec_sha256, to_plain, to_yaml

from .conftest import MINIMAL
from .drawn import studies


@settings(
    derandomize=True,
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(studies())
def test_a_written_study_reads_back_the_same(plain: dict[str, Any]) -> None:
    spec = from_plain(plain)
    written = to_yaml(spec)
    assert parse_study(written) == spec
    assert to_yaml(parse_study(written)) == written
    assert from_plain(json.loads(json.dumps(to_plain(spec)))) == spec


def test_the_resolved_study_is_written_as_users_write_it() -> None:
    text = to_yaml(
        parse_study(f"{MINIMAL}budget: {{time: 5400}}\nsampler: {{name: grid, steps: 3}}")
    )
    assert "metric: {name: f1_macro, goal: maximize, positive_class: null}" in text
    assert "  backbone: [toy:cnn, timm:resnet18]\n  lr: {log_uniform: [1e-05, 0.01]}\n" in text
    assert "  time: 1h30m\n" in text
    assert "sampler: {name: grid, steps: 3}\n" in text


def test_the_hash_is_that_of_the_meaning_and_not_of_the_text() -> None:
    bare = parse_study(MINIMAL)
    spelled = parse_study(
        f"# flowers\nseed: 0\n{MINIMAL}  freeze_depth: {{int: [0, 5], step: 1}}\n  lr:"
        " {log_uniform: [1.0e-5, 1e-2]}\n"
    )
    assert spec_sha256(bare) == spec_sha256(spelled)
    assert spec_sha256(bare) == spec_sha256(from_plain(to_plain(bare)))
    assert spec_sha256(bare) != spec_sha256(parse_study(MINIMAL, overrides=["seed=1"]))


def test_the_plain_form_holds_json_types_only() -> None:
    plain = to_plain(parse_study(f"{MINIMAL}budget: {{time: 1h}}\n"))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["budget"]["time"] == 3600
    assert plain["search"]["lr"] == {"log_uniform": [1e-5, 1e-2]}
