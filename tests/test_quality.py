"""The tools that keep the code readable run as tests, so one command checks everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHECKS = {
    "ruff finds nothing": ["-m", "ruff", "check", "."],
    "code is formatted": ["-m", "ruff", "format", "--check", "."],
    "types are strict": ["-m", "mypy"],
    "imports go one way": ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
}


@pytest.mark.parametrize("check", CHECKS)
def test_quality(check: str) -> None:
    done = subprocess.run(
        [sys.executable, *CHECKS[check]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{check}:\n{done.stdout}\n{done.stderr}"


def test_no_file_outgrows_one_idea() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "selector").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long
