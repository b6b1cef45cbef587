"""A place to run commands in, and a finished study to look at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from selector.cli.app import app

STUDY = """\
name: tiny
data: {source: "builtin:digits", limit: 200}
metric: {name: f1_macro, goal: maximize}
search:
  backbone: toy:cnn
  lr: {log_uniform: [1.0e-3, 1.0e-2]}
  freeze_depth: 0
  batch_size: [16, 32]
  image_size: 16
pruner: none
budget: {trials: 3, epochs: 1}
finals: off
seed: 1
"""

Command = Callable[..., Result]


def invoke(*arguments: object) -> Result:
    """Run a command in this process, standard output and standard error apart."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="selector")


def start(*arguments: object, cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "selector.cli", *(str(argument) for argument in arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of decoded images for the whole session: its content never depends on a test."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a study file, where commands run as a user would run them."""
    monkeypatch.chdir(tmp_path)
    for name in ("SELECTOR_STORE", "SELECTOR_ARTIFACTS", "SELECTOR_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SELECTOR_CACHE", str(cache))
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def selector(place: Path) -> Command:
    """`selector(...)` runs a command in `place`."""
    return invoke


@pytest.fixture(scope="session")
def finished_place(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder in which a study of three trials has run to its end. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SELECTOR_CACHE", str(cache))
        result = invoke("run", "study.yaml", "-q")
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture
def finished(
    finished_place: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """`finished(...)` runs a command beside the finished study."""
    monkeypatch.chdir(finished_place)
    monkeypatch.setenv("SELECTOR_CACHE", str(cache))
    yield invoke
