"""`delete` says what goes, asks, and is refused where nobody can be asked."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from selector.store import Store
from tests.cli.conftest import STUDY, Command


def _studies(place: Path) -> list[str]:
    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        return [row.name for row in store.studies()]


def test_a_real_study_is_deleted_with_its_files(selector: Command, place: Path) -> None:
    (place / "study.yaml").write_text(STUDY.replace("trials: 3", "trials: 2"))
    assert selector("run", "study.yaml", "-q").exit_code == 0
    assert list((place / "selector-artifacts").rglob("*.safetensors"))

    looked = selector("delete", "tiny", "--dry-run")
    assert looked.exit_code == 0, looked.stderr
    assert looked.stderr == ""
    assert "tiny: 2 trials" in looked.stdout and "2 here," in looked.stdout
    plain = json.loads(selector("delete", "tiny", "--dry-run", "--format", "json").stdout)
    assert (plain["study"], plain["trials"], plain["dry_run"]) == ("tiny", 2, True)
    assert sum(Path(file).stat().st_size for file in plain["files"]) == plain["bytes"] > 0
    assert _studies(place) == ["tiny"]

    refused = selector("delete", "tiny")
    assert refused.exit_code == 2
    assert "Add --yes to delete it." in refused.stderr
    assert _studies(place) == ["tiny"]

    deleted = selector("delete", "tiny", "--yes")
    assert deleted.exit_code == 0, deleted.stderr
    assert _studies(place) == []
    assert list((place / "selector-artifacts").iterdir()) == []
    assert selector("delete", "tiny", "--yes").exit_code == 2

    # The same study file starts from nothing.
    again = selector("run", "study.yaml", "-q", "--set", "budget.trials=1")
    assert again.exit_code == 0, again.stderr


def test_on_a_terminal_the_name_is_typed(place: Path, results: object) -> None:
    from tests.conftest import Results

    with Store.open(f"sqlite:///{place / 'selector.db'}") as store:
        Results().fill(store)
        store.release_trial("flowers", 5)
    for typed, code in (("flower", 2), ("flowers", 0)):
        done = _on_a_terminal(place, typed)
        assert done.returncode == code, done.stderr
        assert _studies(place) == ([] if code == 0 else ["flowers"])


def _on_a_terminal(place: Path, typed: str) -> subprocess.CompletedProcess[str]:
    """The command with a terminal for its input, at which `typed` is typed."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{typed}\n".encode())  # waits in the terminal until it is read
    try:
        return subprocess.run(
            [sys.executable, "-m", "selector.cli", "delete", "flowers"],
            cwd=place,
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    finally:
        os.close(ours)
        os.close(theirs)
