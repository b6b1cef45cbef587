"""`doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_doctor_ends_well_where_a_run_would(selector: Command) -> None:
    result = selector("doctor")

    assert result.exit_code == 0, result.stdout
    assert "All that a run needs is here." in result.stdout


@pytest.mark.parametrize("output", ["json", "csv", "md"])
def test_doctor_prints_every_format(selector: Command, output: str) -> None:
    result = selector("doctor", "--format", output)

    assert result.exit_code == 0
    assert "torchvision" in result.stdout
    if output == "json":
        assert {finding["status"] for finding in json.loads(result.stdout)} <= {"ok", "note"}


def test_doctor_exits_4_where_something_needed_is_missing(selector: Command, place: Path) -> None:
    result = selector("doctor", "--store", f"sqlite:///{place}/no/such/folder/selector.db")

    assert result.exit_code == 4
    assert "1 problem stops a run." in result.stdout
