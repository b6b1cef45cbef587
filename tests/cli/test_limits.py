"""What may not be shipped is measured, shown and never trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selector.search import limits
from selector.settings import load_settings
from selector.store import Store
from tests.cli.conftest import Command

BOTH = ["--set", "search.backbone=[toy:cnn, bundled:mobilenet_v2]"]
SMALL = [*BOTH, "--set", "limits={parameters: 1e6, latency_ms: 1e4}"]


def test_a_backbone_above_a_limit_is_never_trained(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = selector("run", "study.yaml", *SMALL, "--set", "budget.trials=2")
    assert result.exit_code == 0, result.stderr
    assert "left out bundled:mobilenet_v2 at 16 px: parameters 2.24M > 1.00M" in result.stderr
    assert "1 of 2 networks meet them" in result.stderr
    with Store.open(load_settings().store) as store:
        assert {row.backbone for row in store.trials("tiny")} == {"toy:cnn"}
        first = store.costs("tiny")
    assert {(cost.backbone, cost.image_size) for cost in first} == {
        ("toy:cnn", 16),
        ("bundled:mobilenet_v2", 16),
    }
    # Continued, the study lives by what was measured first.
    monkeypatch.setattr(limits, "_measure", None)
    again = selector("run", "study.yaml", *SMALL, "--set", "budget.trials=3")
    assert again.exit_code == 0, again.stderr
    with Store.open(load_settings().store) as store:
        assert store.costs("tiny") == first
        assert {row.backbone for row in store.trials("tiny")} == {"toy:cnn"}
    shown = selector("show", "tiny").stdout
    assert "Limits, ms on cpu with 1 threads" in shown
    assert "allowed at most" in shown


def test_where_nothing_may_be_shipped_nothing_is_stored(selector: Command, place: Path) -> None:
    result = selector("run", "study.yaml", *BOTH, "--set", "limits={size_mb: 0.001}")
    assert result.exit_code == 1
    assert "No backbone of study 'tiny' meets its limits:" in result.stderr
    assert "  toy:cnn at 16 px: size_mb" in result.stderr
    with Store.open(load_settings().store) as store:
        assert store.studies() == ()


def test_validate_shows_what_networks_cost_and_the_study_as_written(
    selector: Command, place: Path
) -> None:
    result = selector("validate", "study.yaml", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "allowed at most" in result.stderr
    assert "parameters 2.24M > 1.00M" in result.stderr
    assert "bundled:mobilenet_v2" in result.stdout


def test_the_plan_shows_costs_and_plans_only_what_fits(selector: Command, place: Path) -> None:
    result = selector("run", "study.yaml", *SMALL, "--dry-run", "--format", "json")
    assert result.exit_code == 0, result.stderr
    plan = json.loads(result.stdout)
    assert {cost["backbone"] for cost in plan["costs"]} == {"toy:cnn", "bundled:mobilenet_v2"}
    assert {probe["backbone"] for probe in plan["probes"]} == {"toy:cnn"}


def test_limits_need_image_sizes_that_can_all_be_measured(selector: Command, place: Path) -> None:
    ranged = ["--set", "search.image_size={int: [16, 32]}", "--set", "limits.size_mb=5"]
    result = selector("validate", "study.yaml", *ranged)
    assert result.exit_code == 2
    assert "write search.image_size as a value or a list, such as [16, 32]" in result.stderr
