"""What a network costs is what it has and how long it takes, on the threads asked for."""

from __future__ import annotations

from pathlib import Path

import torch

from selector import tasks
from selector.search import limits
from selector.spec import StudySpec
from tests.search.conftest import ParseStudy

SPACE = """
search: {backbone: "toy:cnn", image_size: [16, 64]}
"""


def _measured(spec: StudySpec, progress: limits.Progress = lambda done, total: None):
    task = tasks.load(spec.task)
    return limits.measure(spec, base=Path(), task=task, classes=10, progress=progress)


def test_each_size_is_measured_with_the_head_of_the_study(study: ParseStudy) -> None:
    seen: list[tuple[int, int]] = []
    spec = study("limits: {latency_ms: 5, threads: 1}", space=SPACE)
    small, large = _measured(spec, lambda done, total: seen.append((done, total)))
    assert (small.image_size, large.image_size) == (16, 64)
    assert small.parameters == large.parameters
    # Buffers are stored too, so a file is a little larger than its float32 parameters.
    assert 4 * small.parameters <= small.size_mb * 1e6 < 4.5 * small.parameters
    assert small.latency_ms is not None and small.latency_ms > 0
    assert (small.device, small.threads) == ("cpu", 1)
    assert seen == [(1, 2), (2, 2)]


def test_latency_is_measured_only_where_it_is_limited(study: ParseStudy) -> None:
    costs = _measured(study("limits: {parameters: 5, device: cuda}", space=SPACE))
    assert [cost.latency_ms for cost in costs] == [None, None]


def test_without_limits_nothing_is_measured(study: ParseStudy) -> None:
    assert _measured(study(space=SPACE)) == ()


def test_the_process_keeps_its_own_number_of_threads(study: ParseStudy) -> None:
    before = torch.get_num_threads()
    _measured(study("limits: {latency_ms: 5, threads: 2}", space=SPACE))
    assert torch.get_num_threads() == before
