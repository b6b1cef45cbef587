"""`serve` and a `worker` of the whole store, as the commands that people start."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selector.store import Store
from tests.cli.conftest import STUDY, Command, start

TOKEN = "a-token-for-these-tests"


def ask(url: str, text: str | None = None, *, method: str = "GET") -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/yaml"}
    body = None if text is None else text.encode()
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


@pytest.fixture
def served(place: Path, cache: Path, store_url: str) -> Iterator[tuple[str, Any]]:
    """The URL that `selector serve` prints, and its process."""
    environment = {
        "SELECTOR_CACHE": str(cache),
        "SELECTOR_STORE": store_url,
        "SELECTOR_TOKEN": TOKEN,
    }
    process = start("serve", "--port", "0", cwd=place, environment=environment)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line + process.stderr.read()
        yield found[0].rstrip("/"), process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.storm
def test_a_study_goes_from_its_file_to_its_leaderboard_through_the_api(
    served: tuple[str, subprocess.Popen[str]],
    selector: Command,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, process = served
    monkeypatch.setenv("SELECTOR_STORE", store_url)

    assert ask(f"{url}/api/studies", STUDY, method="POST")["state"] == "waiting"
    worker = selector("worker", "--once", "-q")

    assert worker.exit_code == 0, worker.stderr
    assert worker.stderr.splitlines() == ["study   tiny", "ended   no study has work left"]
    assert ask(f"{url}/api/studies/tiny")["state"] == "finished"
    board = ask(f"{url}/api/studies/tiny/leaderboard")
    assert board == json.loads(selector("report", "tiny", "--format", "json").stdout)
    assert len(board["candidates"]) == 3
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


def test_a_page_for_others_needs_a_token(finished: Command) -> None:
    result = finished("serve", "--host", "0.0.0.0", "--port", "0")

    assert result.exit_code == 2
    assert "Set SELECTOR_TOKEN to 16 characters or more" in result.stderr


def test_a_short_token_is_refused_and_not_repeated(
    finished: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELECTOR_TOKEN", "tooshort")

    result = finished("serve", "--port", "0")

    assert result.exit_code == 2
    assert "SELECTOR_TOKEN='...': allowed is 16 characters or more" in result.stderr
    assert "tooshort" not in result.stderr


def test_a_worker_of_all_studies_has_no_images_of_its_own(finished: Command) -> None:
    result = finished("worker", "--data", "pictures")

    assert result.exit_code == 2
    assert "name it, worker STUDY" in result.stderr


def test_a_worker_of_all_studies_ends_when_nothing_is_left(
    finished: Command, finished_place: Path
) -> None:
    with Store.open(f"sqlite:///{finished_place / 'selector.db'}") as store:
        runs = len(store.runs("tiny"))
        result = finished("worker", "--once")

        assert result.exit_code == 0, result.stderr
        assert result.stderr == "ended   no study has work left\n"
        assert len(store.runs("tiny")) == runs
