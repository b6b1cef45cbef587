"""The JSON API: what it gives, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selector import reporting
from selector.exporters.export import ExportOptions, export
from selector.reporting.ranking import rank
from selector.search.remaining import has_work
from selector.service.web import openapi
from selector.spec.yaml_text import MAX_BYTES
from selector.store import Store
from tests.service.conftest import STUDY as FINISHED
from tests.service.web.conftest import BEARER, TOKEN, Answer, Served, run_of

NAME = "shown-in-the-browser"
YAML = {"Content_Type": "application/yaml", **BEARER}
STUDY = FINISHED.replace(NAME, "sent")


def problem(answer: Answer, status: int) -> dict[str, Any]:
    """The one document that every error is."""
    assert (answer.status, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    found: dict[str, Any] = answer.json
    assert {"type", "title", "status", "detail"} <= found.keys()
    assert found["status"] == status
    return found


def test_the_page_starts_without_what_trains() -> None:
    code = (
        "import sys, selector.service.web.server;"
        "print([name for name in ('torch', 'optuna', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_list_is_that_of_the_command(page: Served) -> None:
    expected = json.loads(
        reporting.render(reporting.studies_page(page.site.store.studies()), "json")
    )
    assert page.get("/api/studies").json == expected
    assert [(each["study"], each["state"]) for each in expected] == [(NAME, "finished")]


def test_the_leaderboard_is_the_document_of_the_report(page: Served) -> None:
    for query, metric in (("", None), ("?metric=accuracy", "accuracy")):
        board = rank(page.site.store, NAME, metric=metric)
        expected = json.loads(reporting.render(board, "json"))
        assert page.get(f"/api/studies/{NAME}/leaderboard{query}").json == expected


def test_an_unknown_metric_is_a_problem_with_the_known_ones(page: Served) -> None:
    found = problem(page.get(f"/api/studies/{NAME}/leaderboard?metric=f2"), 404)
    assert "f1_macro" in found["detail"]


def test_the_status_says_what_is_left(page: Served) -> None:
    found = page.get(f"/api/studies/{NAME}").json
    assert (found["state"], found["trials_left"], found["live"]) == ("finished", 0, [])
    assert found["trials"] == {"complete": 3, "pruned": 0, "failed": 0, "running": 0}
    assert found["best"]["score"] == rank(page.site.store, NAME).candidates[0].score


def test_an_unknown_study_is_a_problem_that_names_the_known_one(page: Served) -> None:
    for path in ("", "/leaderboard"):
        found = problem(page.get(f"/api/studies/shown-in-a-browser{path}"), 404)
        assert f"Did you mean '{NAME}'?" in found["detail"]


def test_a_study_that_is_stopped_says_by_whom(page: Served) -> None:
    page.site.store.begin_run(run_of(page.site.store, NAME))

    answer = page.ask("POST", f"/api/studies/{NAME}/stop", **BEARER)

    assert (answer.status, answer.json) == (202, {"study": NAME, "state": "stopped"})
    stop = page.site.store.stop_of(NAME)
    assert stop is not None and stop.who.startswith("the web page of ")
    assert page.get(f"/api/studies/{NAME}").json["state"] == "stopped"


def test_a_finished_study_has_nothing_to_stop(page: Served) -> None:
    answer = page.ask("POST", f"/api/studies/{NAME}/stop", **BEARER)

    assert (answer.status, answer.json) == (200, {"study": NAME, "state": "finished"})
    assert page.site.store.stop_of(NAME) is None


def test_a_submitted_study_is_registered_and_waits_for_a_worker(page: Served) -> None:
    answer = page.ask("POST", "/api/studies", STUDY, **YAML)

    assert answer.status == 201, answer.text
    found = answer.json
    assert (found["study"], found["created"], found["state"]) == ("sent", True, "waiting")
    assert sum(found["data"]["counts"].values()) == 200
    assert found["data"]["audit"]["left_out"] == 0
    assert answer.headers["location"] == "/api/studies/sent"
    store = page.site.store
    assert store.state("sent") == "waiting" and has_work(store, "sent")
    assert store.folders("sent") == (page.site.folder,)
    assert store.trials("sent") == ()


@pytest.mark.storm
def test_a_study_that_is_sent_again_goes_on_if_it_is_the_same(page: Served) -> None:
    store = page.site.store
    assert page.ask("POST", "/api/studies", STUDY, **YAML).status == 201
    store.ask_to_stop("sent", who="ann@box")

    more = page.ask("POST", "/api/studies", STUDY.replace("trials: 3", "trials: 4"), **YAML)

    assert (more.status, more.json["created"]) == (200, False)
    assert store.state("sent") == "waiting"
    assert store.require_study("sent").spec["budget"]["trials"] == 4
    other = STUDY.replace("f1_macro", "accuracy")
    conflict = problem(page.ask("POST", "/api/studies", other, **YAML), 409)
    assert "metric.name: 'f1_macro' -> 'accuracy'" in conflict["detail"]


def test_every_mistake_of_a_submitted_file_is_listed(page: Served) -> None:
    text = STUDY.replace("goal: maximize", "goal: up").replace("budget:", "bugdet:")

    found = problem(page.ask("POST", "/api/studies", text, **YAML), 422)

    assert len(found["problems"]) >= 2
    assert any("bugdet" in line and "budget" in line for line in found["problems"])
    assert any(line.startswith("study.yaml:") and "goal" in line for line in found["problems"])
    assert page.site.store.study("sent") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source: "builtin:digits"', "path: /etc", "leads out of the folder"),
        ('source: "builtin:digits"', "path: ../elsewhere", "leads out of the folder"),
        ('source: "builtin:digits"', "path: ${SELECTOR_TOKEN}", "has no variables"),
        ("pruner: none", "backbones: {toy:cnn: {weights: ../../w.pth}}", "the weights of toy:cnn"),
    ],
)
def test_a_submitted_study_reads_nothing_but_its_folder(
    page: Served, old: str, new: str, said: str
) -> None:
    found = problem(page.ask("POST", "/api/studies", STUDY.replace(old, new), **YAML), 422)

    assert said in found["detail"]
    assert TOKEN not in json.dumps(found)


def test_a_check_that_takes_too_long_is_ended(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selector.service.web import submitting

    monkeypatch.setattr(submitting.submitted, "__kwdefaults__", {"limit_seconds": 0.01})

    found = problem(page.ask("POST", "/api/studies", STUDY, **YAML), 504)

    assert "was not checked in 0.01 s" in found["detail"]
    assert page.site.store.study("sent") is None


@pytest.mark.parametrize(
    ("kind", "size", "status"),
    [
        ("text/plain", 10, 415),
        ("application/json", 10, 415),
        ("application/yaml", MAX_BYTES + 1, 413),
    ],
)
def test_only_study_files_of_a_page_or_two_are_taken(
    page: Served, kind: str, size: int, status: int
) -> None:
    answer = page.ask("POST", "/api/studies", b"a" * size, Content_Type=kind, **BEARER)
    problem(answer, status)


def test_a_bundle_comes_as_one_zip_that_is_whole(
    page: Served, own_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path / "cache"))
    made = export(page.site.store, NAME, ExportOptions(output=tmp_path / "shipped"))
    (listed,) = page.get(f"/api/studies/{NAME}").json["bundles"]

    answer = page.get(f"/api/bundles/{listed['id']}")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
    assert f'filename="{NAME}-trial-' in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    inside = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert inside == {path.name: path.read_bytes() for path in made.path.iterdir()}
    assert listed["bytes"] == sum(len(content) for content in inside.values())

    (made.path / "predict.py").write_text("print('changed')")
    assert "Export it again" in problem(page.get(f"/api/bundles/{listed['id']}"), 410)["detail"]


def test_only_what_was_exported_can_be_fetched(page: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("private")
    (secret / "bundle.json").write_text(json.dumps({"files": {"../secret/key": "0" * 64}}))
    store = page.site.store
    store.record_bundle(NAME, 0, fmt="onnx", folder=secret, sha256="0" * 64, size=1)
    (bundle,) = store.bundles(NAME)

    problem(page.get(f"/api/bundles/{bundle.id}"), 410)
    problem(page.get(f"/api/bundles/{bundle.id + 1}"), 404)


def test_a_bundle_of_another_host_says_where_it_lies(
    page: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = page.site.store
    with monkeypatch.context() as patch:
        patch.setattr("selector.store.bundles.socket.gethostname", lambda: "gpu-7")
        store.record_bundle(NAME, 0, fmt="onnx", folder=tmp_path, sha256="0" * 64, size=1)
    (bundle,) = store.bundles(NAME)
    assert "'gpu-7'" in problem(page.get(f"/api/bundles/{bundle.id}"), 409)["detail"]


def test_the_description_names_every_path_and_method_of_the_api(page: Served) -> None:
    document = page.get("/api/openapi.json").json

    assert document == openapi.document()
    described = {
        (method.upper(), re.sub(r"{\w+}", "{}", path))
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    from selector.service.web.app import FOR_PROGRAMS, make_app

    routes = make_app(page.site)._application.routes  # type: ignore[attr-defined]
    served = {
        (method, re.sub(r"{\w+}", "{}", route.path))
        for route in routes
        for method in route.methods - {"HEAD"}
        if route.path.startswith((*FOR_PROGRAMS, "/health")) and route.path != "/api/openapi.json"
    }
    assert described == served


def test_the_description_tells_the_truth_about_the_answers(page: Served) -> None:
    schemas = openapi.document()["components"]["schemas"]
    answers = {
        "Status": page.get(f"/api/studies/{NAME}").json,
        "Summary": page.get("/api/studies").json[0],
        "Leaderboard": page.get(f"/api/studies/{NAME}/leaderboard").json,
        "Problem": page.get("/api/studies/none").json,
    }
    for name, answer in answers.items():
        assert set(schemas[name]["required"]) <= answer.keys(), name
    for name in ("Status", "Problem"):
        assert answers[name].keys() <= schemas[name]["properties"].keys()


def test_a_mistake_of_the_server_tells_nothing(
    page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_store: Store) -> None:
        raise RuntimeError("postgresql://user:secret@db")

    monkeypatch.setattr(Store, "studies", broken)
    assert "secret" not in problem(page.get("/api/studies"), 500)["detail"]


def test_running_trials_are_shown_with_their_last_epoch(
    serve: Callable[..., Served], store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selector.events import EpochEnded, Event
    from selector.run import run

    monkeypatch.setenv("SELECTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SELECTOR_ARTIFACTS", str(tmp_path / "artifacts"))
    (tmp_path / "study.yaml").write_text(STUDY)
    served, seen = serve(store_url), []

    def look(event: Event) -> None:
        # An epoch is reported after it is announced.
        if isinstance(event, EpochEnded) and (event.number, event.epoch) == (0, 3):
            seen.append((event, served.get("/api/studies/sent").json))

    run(tmp_path / "study.yaml", store=store_url, observe=look)

    assert len(seen) == 1
    (found,) = seen[0][1]["live"]
    assert not found["final"]
    assert (found["trial"], found["epoch"], found["heard"]) == (0, 2, True)
    assert found["backbone"] == "toy:cnn" and 0 <= found["score"] <= 1
    assert seen[0][1]["state"] == "running"
    assert served.get("/api/studies/sent").json["live"] == []

    seen.clear()
    finals = ["finals={top: 2, seeds: 2}"]
    run(tmp_path / "study.yaml", store=store_url, observe=look, overrides=finals)

    assert [each["final"] for each in seen[0][1]["live"]] == [True]
