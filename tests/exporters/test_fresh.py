"""A bundle in an environment that holds its requirements and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from selector import exporters
from selector.exporters import gate
from tests.exporters.conftest import Place


@pytest.mark.fresh
@pytest.mark.parametrize("fmt", exporters.known())
def test_bundle_passes_the_gate_in_a_fresh_environment(
    fmt: str, real: Place, tmp_path: Path
) -> None:
    made = real.export(fmt, output=tmp_path / "bundle")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    python = tmp_path / "fresh" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "-r", made.path / "requirements.txt"]
    subprocess.run(install, check=True)

    parity = gate.check(made.path, real.reference(), python=python)

    assert parity.passed
    assert parity.score_difference <= 1e-6
