"""`--log-format json`: whatever happens is one JSON object a line, of a documented form."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import logging
import math
import re
import socket
import typing
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import pytest

from selector import events
from selector.cli import json_lines, output
from selector.cli.json_lines import JsonView, fields_of, level_of, name_of
from selector.errors import ConflictError
from tests.cli.conftest import Command

EVENTS = get_args(events.Event)
PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


def example(kind: Any) -> Any:
    """A value of a type: of every optional one the value, of every number one that is NaN."""
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        return kind(**{name: example(hints[name]) for name in names})  # type: ignore[operator]
    if origin is Literal:
        return arguments[0]
    if origin is UnionType or origin is typing.Union:
        return example(next(each for each in arguments if each is not NoneType))
    if origin in (tuple, list):
        return (example(arguments[0]),)
    if origin is not None and issubclass(origin, Mapping):
        return {example(arguments[0]): example(arguments[1])}
    day = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    known = {int: 7, float: math.nan, bool: True, str: "a\x1b[2J\nb", dt.datetime: day}
    return known[kind]


@pytest.fixture(params=EVENTS, ids=lambda kind: kind.__name__)
def event(request: pytest.FixtureRequest) -> Any:
    return example(request.param)


def test_every_event_is_one_line_with_all_its_fields(
    event: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    JsonView("flowers")(event)
    (text,) = capsys.readouterr().err.splitlines()
    assert text.isascii() and text.isprintable()
    line = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert line["level"] == level_of(event) in get_args(json_lines.Level)
    assert line["event"] == name_of(event)
    assert line["study"]
    assert {"time", "level", "event", "study"} | set(fields_of(event)) == set(line)
    for field in dataclasses.fields(event):
        value, shown = (
            getattr(event, field.name),
            line[{"number": "trial"}.get(field.name, field.name)],
        )
        if isinstance(value, float):
            assert shown is None
        elif isinstance(value, int | str):
            assert shown == value


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_is_documented_with_its_fields(kind: Any) -> None:
    fields = ", ".join(f"`{name}`" for name in fields_of(example(kind)) if name != "study")
    row = f"| `{name_of(kind)}` | {fields} |"
    assert row in PAGE.read_text(), f"docs/observability.md lacks the row:\n{row}"


def test_a_run_writes_nothing_but_json_lines(selector: Command, place: Path) -> None:
    served = ("--metrics-port", "0")
    done = selector(
        *("run", "study.yaml", "--log-format", "json", "--set", "budget.trials=2", *served)
    )
    assert done.exit_code == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    names = [line["event"] for line in lines]
    assert lines[0]["text"].startswith("Metrics: http://127.0.0.1:")
    assert names.count("trial_ended") == names.count("epoch_ended") == 2
    assert names.index("run_ready") < names.index("trial_started")
    trained = next(line for line in lines if line["event"] == "epoch_ended")
    assert (trained["study"], trained["trial"], trained["epoch"]) == ("tiny", 0, 1)
    assert trained["train_loss"] > 0 and trained["seconds"] > 0 and trained["lr"] >= 0
    ended = next(line for line in lines if line["event"] == "trial_ended")
    assert ended["metrics"]["f1_macro"] == ended["score"]
    assert done.stdout.startswith("tiny")


def test_remarks_and_errors_are_lines_too(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = selector("--log-format", "json", "report", "tiny")
    line = json.loads(missing.stderr)
    assert (line["level"], line["event"], line["exit_code"]) == ("error", "ended", 4)
    assert line["text"].startswith("There is no store at")
    monkeypatch.setenv("SELECTOR_LOG_FORMAT", "json")
    assert json.loads(selector("list").stderr)["event"] == "ended"
    # What is said after the command's name counts more.
    assert selector("run", "missing.yaml", "--log-format", "text").stderr.startswith("error: ")
    monkeypatch.setenv("SELECTOR_LOG_FORMAT", "xml")
    assert selector("list").exit_code == 2


def test_only_what_trains_takes_the_port_of_the_environment(
    selector: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SELECTOR_METRICS_PORT", str(taken.getsockname()[1]))
        assert selector("validate", "study.yaml").exit_code == 0
        refused = selector("run", "study.yaml")
    assert refused.exit_code == 4
    assert "Name another with --metrics-port" in refused.stderr
    assert not (place / "selector.db").exists()


def test_what_libraries_say_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    output.use_log_format("json")
    try:
        logging.getLogger("somebody").warning("disk %d%% full", 90)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", stacklevel=1)
        output.explain(ConflictError("one\ntwo"))
    finally:
        output.use_log_format("text")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["log", "log", "ended"]
    assert (lines[0]["logger"], lines[0]["text"]) == ("somebody", "disk 90% full")
    assert lines[1]["logger"] == "py.warnings"
    assert lines[2]["text"] == "one\ntwo"
