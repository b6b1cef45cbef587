"""What a process sets once: in all its threads, and wherever training starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from selector.training import prepare_process

ROOT = Path(__file__).parents[2]

PREPARED = "from selector.training import prepare_process; prepare_process()"
RUN = """
from pathlib import Path
from selector.run import run
text = '''
name: tiny
data: {source: "builtin:digits", limit: 60}
metric: {name: f1_macro, goal: maximize}
search: {backbone: toy:cnn, image_size: 8, lr: 0.01, freeze_depth: 3, batch_size: 16}
budget: {trials: 1, epochs: 1}
device: cpu
'''
Path("tiny.yaml").write_text(text)
run("tiny.yaml", store="sqlite:///tiny.db")
"""
COUNT = """
import torch
assert torch.get_num_threads() == 2
# Each of the threads gets a part of so many numbers.
left = torch.full((1 << 21,), 1e-39).mul(1.0).count_nonzero()
print(int(left), torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
"""


@pytest.mark.parametrize("start", [PREPARED, RUN], ids=["prepared", "run"])
def test_every_thread_flushes_denormal_numbers(start, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", start + COUNT],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "2",
            "SELECTOR_CACHE": str(tmp_path / "cache"),
            "SELECTOR_ARTIFACTS": str(tmp_path / "artifacts"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "True", "False"]


def test_the_number_of_threads_is_set_once_and_kept():
    before = torch.get_num_threads()
    try:
        prepare_process(1)
        assert torch.get_num_threads() == 1
        prepare_process()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
