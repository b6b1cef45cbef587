"""Every benchmark runs from end to end on tiny settings and ends with its ratio."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
TOY = ["--backbones", "toy:cnn", "--size", "16", "--repeats", "2"]
BENCHMARKS = {
    "fill": [*TOY, "--images", "70"],
    "heads": [*TOY, "--images", "64", "--epochs", "2", "--trials", "3"],
    "overhead": [
        *("--stored", "0", "12", "--trials", "2", "--epochs", "3", "--databases", "sqlite"),
    ],
    "claims": ["--workers", "2", "--trials", "1"],
    "study": [*TOY, "--images", "64", "--epochs", "1", "--trials", "6", "--bound", "1"],
    "probes": [*TOY, "--images", "64", "--epochs", "1", "--trials", "2"],
    "workers": [*TOY[:-1], "1", "--images", "64", "--epochs", "1", "--trials", "3"],
    "ranking": ["--candidates", "5", "--examples", "200", "--classes", "4", "--resamples", "10"],
    "pruning": [
        *("--backbones", "toy:cnn", "--size", "16", "--limit", "80", "--bound", "1"),
        *("--pool", "4", "--trials", "3", "--epochs", "3", "--seeds", "2"),
    ],
    "cached": [*TOY, "--images", "40", "--epochs", "1", "--trials", "6"],
    "device": [
        *["--device", "cpu", "--rows", "input", "tuned", "concurrent", "--repeats", "2"],
        *["--small", "toy:cnn", "--size", "16", "--large", "toy:cnn", "--large-size", "16"],
        *["--steps", "3", "--batch", "8", "--trials", "2", "--epochs", "1"],
    ],
}


# It measures when a score is reached, so it has no two scores to compare.
QUALITY = ["--backbones", "toy:cnn", "--size", "16", "--images", "64", "--seeds", "1"]
QUALITY += ["--trials", "2", "--own-trials", "3", "--epochs", "2"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_checks_its_scores_and_ends_with_its_ratio(name):
    printed = run(name, BENCHMARKS[name])
    assert re.search(r"same (bits|within [\d.]+|in both records): yes", printed)
    assert re.fullmatch(r"ratio: \d+\.\d\d", printed.splitlines()[-1])


def test_the_benchmark_of_quality_runs_both_searches_and_ends_with_its_ratio():
    printed = run("quality", QUALITY)
    assert re.search(r"textbook +2 trials +\d+ epochs, .*; reached 0\.\d{4} after", printed)
    assert re.search(r"selector +\d trials +\d+ epochs, .*; (reached|NOT reached)", printed)
    assert re.fullmatch(r"ratio: \d+\.\d\d", printed.splitlines()[-1])


def run(name, arguments):
    """What a benchmark prints; it has to succeed."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_benchmark_of_a_gpu_says_in_one_line_that_there_is_none():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.device"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert done.stdout == ""
    assert re.fullmatch(r"No CUDA device .*\n", done.stderr)
