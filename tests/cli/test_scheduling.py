"""`selector schedule` as people and timers start it."""

from __future__ import annotations

import csv
import io
import json
import signal
import time
from pathlib import Path

import pytest

from selector.store import Store
from tests.cli.conftest import STUDY, Command, start

BOUND_SECONDS = 120.0


def due_now(more: str = "") -> str:
    """A study that came due in this minute and does so once a day."""
    now = time.gmtime()
    return f'{STUDY}{more}schedule: {{cron: "{now.tm_min} {now.tm_hour} * * *"}}\n'


def due_in_six_months() -> str:
    month = (time.gmtime().tm_mon + 5) % 12 + 1
    return f'{STUDY}schedule: {{cron: "0 2 1 {month} *", timezone: Europe/Berlin}}\n'


def test_nothing_due_is_said_in_one_line_and_no_failure(selector: Command, place: Path) -> None:
    (place / "study.yaml").write_text(due_in_six_months())
    result = selector("schedule", "--once", "study.yaml")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "Nothing is due."
    assert result.stdout == ""


def test_a_folder_without_schedules_is_none_of_its_business(selector: Command, place: Path) -> None:
    result = selector("schedule", "--once", ".")
    assert (result.exit_code, result.stderr) == (0, "Nothing is due.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "error: Name the study files to serve, or a folder of them, such as studies."),
        (("--once", "--list", "x.yaml"), "error: --once and --list exclude each other"),
        (("study.yaml",), "error: study.yaml: study 'tiny' has no schedule. Add schedule: {cron"),
        (("absent.yaml",), "error: absent.yaml: No such file or directory; put it back"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(
    selector: Command, place: Path, words: tuple[str, ...], message: str
) -> None:
    result = selector("schedule", *words)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(message)


def test_all_files_that_cannot_be_served_are_told_at_once(selector: Command, place: Path) -> None:
    (place / "broken.yaml").write_text("name: [\n")
    result = selector("schedule", "study.yaml", "absent.yaml", "broken.yaml")
    assert result.exit_code == 2
    files = ["study.yaml", "absent.yaml", "broken.yaml"]
    assert [line.split(": ")[1].split(":")[0] for line in result.stderr.splitlines()] == files


def test_two_files_of_one_study_are_refused(selector: Command, place: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (place / name).write_text(due_in_six_months())
    result = selector("schedule", "--once", "a.yaml", "b.yaml")
    assert result.exit_code == 2
    said = "not served: b.yaml: study 'tiny' is already that of a.yaml; change its name."
    assert said in result.stderr.splitlines()


def test_a_study_that_is_due_is_run_and_listed(selector: Command, place: Path, cache: Path) -> None:
    (place / "study.yaml").write_text(due_now())
    (place / "broken.yaml").write_text("name: broken\n")
    environment = {"SELECTOR_CACHE": str(cache)}
    process = start(
        "schedule", "--once", "study.yaml", "broken.yaml", cwd=place, environment=environment
    )
    stdout, stderr = process.communicate(timeout=2 * BOUND_SECONDS)

    lines = stderr.splitlines()
    assert process.returncode == 2, stderr  # for the broken file; the other ran all the same
    assert stdout == ""
    assert sum(line.startswith("not served: broken.yaml:1:1: ") for line in lines) == 1
    assert sum(line.startswith("[tiny] trial ") for line in lines) == 3
    assert "[tiny] ended   3 trials, after" in stderr
    assert "ended with exit code 0 after" in lines[-1]
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        assert store.counts("tiny").complete == 3
        (row,) = store.schedules.firings()
    assert (row.state, row.exit_code, row.missed) == ("ended", 0, 0)
    assert row.line == "first: there was none before"
    champion = selector("champion", "tiny", "--path")
    assert champion.exit_code == 0 and (Path(champion.stdout.strip()) / "bundle.json").is_file()

    again = selector("schedule", "--once", "study.yaml")
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (0, "Nothing is due.")

    document = json.loads(selector("schedule", "--list", "--format", "json").stdout)
    (known,) = document["schedules"]
    assert (known["study"], known["timezone"]) == ("tiny", "UTC")
    assert known["last"]["exit_code"] == document["firings"][0]["exit_code"] == 0
    (flat,) = csv.DictReader(
        io.StringIO(selector("schedule", "--list", "study.yaml", "--format", "csv").stdout)
    )
    assert (flat["study"], flat["last.state"]) == ("tiny", "ended")
    for form in ("table", "md"):
        printed = selector("schedule", "--list", "--format", form).stdout
        assert "ok: first: there was none before" in printed
        assert "Latest firings" in printed


def test_the_list_of_a_store_without_schedules_says_how_to_begin(finished: Command) -> None:
    result = finished("schedule", "--list")
    assert result.exit_code == 0
    assert "No schedule yet. Serve some: selector schedule FILE" in result.stdout


@pytest.mark.storm
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_scheduler_stopped_amid_a_study_ends_it_and_the_next_resumes_it_to_its_budget(
    selector: Command, place: Path, cache: Path, signum: int, code: int
) -> None:
    study = due_now().replace("trials: 3, epochs: 1", "trials: 6, epochs: 3")
    (place / "study.yaml").write_text(study)
    process = start("schedule", ".", cwd=place, environment={"SELECTOR_CACHE": str(cache)})
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("[tiny] trial "):
            process.send_signal(signum)
            break
    _, rest = process.communicate(timeout=BOUND_SECONDS)
    assert process.returncode == code, rest
    assert "Serving 1 study until stopped.\n" in said
    assert rest.splitlines()[-1] == (
        "Stopped. Nothing is lost; what ran goes on when a scheduler serves it again."
    )
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        assert [row.state for row in store.schedules.firings()] == ["waiting"]
        assert store.counts("tiny").running == 0
        assert {run.status for run in store.runs("tiny")} == {"interrupted"}

        result = selector("schedule", "--once", "study.yaml")

        assert result.exit_code == 0, result.stderr
        assert ": resumed" in result.stderr
        assert store.counts("tiny").complete == 6
        assert [row.state for row in store.schedules.firings()] == ["ended"]
