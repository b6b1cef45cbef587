"""Every benchmark runs from end to end on tiny settings and ends with its ratio."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOY = ["--backbones", "toy:cnn", "--size", "16", "--repeats", "2"]
BENCHMARKS = {
    "fill": [*TOY, "--images", "70"],
    "overhead": ["--stored", "0", "12", "--trials", "2", "--databases", "sqlite"],
    "study": [*TOY, "--images", "64", "--epochs", "1", "--trials", "6", "--bound", "1"],
    "probes": [*TOY, "--images", "64", "--epochs", "1", "--trials", "2"],
    "pruning": [
        *("--backbones", "toy:cnn", "--size", "16", "--limit", "80", "--bound", "1"),
        *("--pool", "4", "--trials", "3", "--epochs", "3", "--seeds", "2"),
    ],
    "quality": [
        *("--backbones", "toy:cnn", "--size", "16", "--images", "64"),
        *("--trials", "2", "--epochs", "2", "--seeds", "1"),
    ],
    "cached": [*TOY, "--images", "40", "--epochs", "1", "--trials", "6"],
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_checks_its_scores_and_ends_with_its_ratio(name):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *BENCHMARKS[name]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"same (bits|within [\d.]+|in both records): yes", done.stdout)
    last = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"ratio: \d+\.\d\d", last)
