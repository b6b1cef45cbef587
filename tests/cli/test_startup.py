"""What a command costs before it does anything."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from selector.cli.app import app

_PROBE = """\
import sys
from selector.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "torchvision", "sklearn", "scipy", "optuna", "pandas", "alembic", "psutil"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def _heavy_imports(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.strip().splitlines()[-1]


def _cpu_seconds(*arguments: str, cwd: Path) -> float:
    """Seconds of computing, which a busy machine does not stretch as it does wall time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "selector.cli", *arguments],
        cwd=cwd,
        check=True,
        capture_output=True,
        env=os.environ,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    assert _heavy_imports(*arguments, cwd=tmp_path) == "[]"


@pytest.mark.parametrize("arguments", [["list"], ["show", "tiny"], ["report", "tiny"]])
def test_reading_results_imports_nothing_heavy(arguments: list[str], finished_place: Path) -> None:
    assert _heavy_imports(*arguments, cwd=finished_place) == "[]"


def test_help_takes_less_than_half_a_second(tmp_path: Path) -> None:
    assert min(_cpu_seconds("--help", cwd=tmp_path) for _ in range(3)) < 0.5


def test_report_takes_less_than_a_second(finished_place: Path) -> None:
    assert min(_cpu_seconds("report", "tiny", cwd=finished_place) for _ in range(3)) < 1.0


def test_every_command_explains_itself() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__, f"{command.name} has no help"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    piped = f"{sys.executable} -m selector.cli schema | head -n 1"
    done = subprocess.run(piped, shell=True, cwd=tmp_path, capture_output=True, text=True)

    assert done.stdout == "{\n"
    assert done.stderr == ""
