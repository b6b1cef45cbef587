"""`db`: what a user of an older store reads, and the command that gets them on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selector.store.engine import connect, parse_url
from tests.cli.conftest import Command
from tests.conftest import Results
from tests.store import released


@pytest.fixture
def older(place: Path, results: Results) -> Path:
    """A folder with a store that an earlier release made."""
    engine = connect(parse_url("sqlite:///selector.db"))
    released.make(engine, "0005", results)
    engine.dispose()
    return place


def test_an_older_store_names_the_command_that_upgrades_it(selector: Command, older: Path) -> None:
    for words in (["list"], ["report", "flowers"], ["run", "study.yaml", "-q"]):
        refused = selector(*words)
        assert refused.exit_code == 3, refused.stderr
        assert "selector db upgrade" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert selector("db", "status").exit_code == 3

    upgraded = selector("db", "upgrade")

    assert upgraded.exit_code == 0, upgraded.stderr
    (copy,) = older.glob("selector.db.0005-*.backup")
    assert upgraded.stderr.splitlines()[0] == f"Backup: {copy}"
    assert "selector's tables: 0005 -> " in upgraded.stderr
    assert selector("list").exit_code == 0
    assert "nothing to do" in selector("db", "upgrade").stderr


def test_the_status_is_for_programs_too(selector: Command, older: Path) -> None:
    document = json.loads(selector("db", "status", "--format", "json").stdout)
    assert document[0]["here"] == "0005" and document[0]["state"] == "older"
    assert document[1] == {**document[1], "tables": "optuna", "here": None, "state": "absent"}


def test_a_backup_prints_where_it_is(selector: Command, older: Path) -> None:
    done = selector("db", "backup")
    assert Path(done.stdout.strip()).is_file()


def test_there_is_nothing_to_upgrade_without_a_store(selector: Command, place: Path) -> None:
    missing = selector("db", "upgrade")
    assert missing.exit_code == 4
    assert "There is no store at" in missing.stderr
