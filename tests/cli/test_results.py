"""`list`, `show`, `report` on a finished study."""

from __future__ import annotations

import csv
import io
import json

import pytest

from selector import metrics
from tests.cli.conftest import Command


def test_report_ranks_by_score(finished: Command) -> None:
    document = json.loads(finished("report", "tiny", "--format", "json").stdout)

    scores = [candidate["score"] for candidate in document["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert [candidate["rank"] for candidate in document["candidates"]] == [1, 2, 3]
    assert document["metric"] == {"name": "f1_macro", "goal": "maximize"}
    assert document["trials"] == {"complete": 3, "pruned": 0, "failed": 0, "running": 0}
    assert document["data"]["counts"] == {"train": 140, "validation": 30, "test": 30}


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "auroc"])
def test_report_ranks_by_any_stored_metric(finished: Command, metric: str) -> None:
    result = finished("report", "tiny", "--metric", metric, "--format", "json")

    document = json.loads(result.stdout)
    scores = [candidate["score"] for candidate in document["candidates"]]
    assert scores == sorted(scores, reverse=metrics.goal_of(metric) == "maximize")


def test_top_keeps_the_best(finished: Command) -> None:
    result = finished("report", "tiny", "--top", 2, "--format", "csv")

    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["rank"] for row in rows] == ["1", "2"]


@pytest.mark.parametrize("output", ["table", "json", "csv", "md"])
@pytest.mark.parametrize("command", [["list"], ["show", "tiny"], ["show", "tiny", 0]])
def test_everything_comes_in_every_format(
    finished: Command, command: list[object], output: str
) -> None:
    result = finished(*command, "--format", output)

    assert result.exit_code == 0, result.stderr
    if output == "json":
        json.loads(result.stdout)
    if output == "csv":
        assert len(list(csv.DictReader(io.StringIO(result.stdout)))) >= 1
    assert result.stdout.strip()
    assert result.stderr == ""


@pytest.mark.parametrize("command", [["show"], ["report"], ["predict"]])
def test_an_unknown_study_is_named_with_the_known_ones(
    finished: Command, command: list[str]
) -> None:
    result = finished(*command, "tinny", *(["."] if command == ["predict"] else []))

    assert result.exit_code == 2
    assert "tinny" in result.stderr or "no image" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_trial_is_named_with_the_known_ones(finished: Command) -> None:
    result = finished("show", "tiny", 7)

    assert result.exit_code == 2
    assert result.stderr == "error: Study 'tiny' has no trial 7. Trials: 0 to 2.\n"


def test_an_unknown_metric_is_one_line(finished: Command) -> None:
    result = finished("report", "tiny", "--metric", "f1_makro")

    assert result.exit_code == 2
    assert "f1_macro" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_looking_for_a_store_does_not_create_one(selector: Command, place: object) -> None:
    result = selector("list")

    assert result.exit_code == 4
    assert "There is no store at sqlite:///selector.db yet" in result.stderr
    assert not list(place.glob("selector.db*"))  # type: ignore[attr-defined]


def test_a_password_in_the_store_url_is_not_printed(selector: Command) -> None:
    url = "postgresql://somebody:secret@127.0.0.1:1/none"
    for command in (["list"], ["doctor"], ["run", "study.yaml"], ["dashboard", "--port", "0"]):
        result = selector(*command, "--store", url)
        assert result.exit_code == 4, (command, result.stderr)
        assert "secret" not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
