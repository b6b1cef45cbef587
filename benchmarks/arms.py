"""Arms of a measurement, run in turn in one process, and the table they make."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch

Result = TypeVar("Result")


@dataclass
class Times:
    """Seconds of one arm, one entry a repetition."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, wall: float, cpu: float) -> None:
        """One more repetition."""
        self.wall.append(wall)
        self.cpu.append(cpu)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu, _ = timed_result(work)
    return wall, cpu


def timed_result(work: Callable[[], Result]) -> tuple[float, float, Result]:
    """Wall and CPU seconds of one call, and what it gave."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def in_turn(names: Sequence[str], turn: int) -> Sequence[str]:
    """The arms, each one first in its turn, so that none always runs on a warm machine."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def machine() -> str:
    """What a number was measured on."""
    return (
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def print_table(title: str, arms: Mapping[str, Times]) -> None:
    """Median and spread of every arm, in wall and CPU seconds."""
    print(title)
    print(
        f"{'arm':<24}{'wall s':>10}{'least':>10}{'most':>10}{'cpu s':>10}{'least':>10}{'most':>10}"
    )
    for name, times in arms.items():
        cells = [
            f"{value:>10.3f}"
            for seconds in (times.wall, times.cpu)
            for value in (statistics.median(seconds), min(seconds), max(seconds))
        ]
        print(f"{name:<24}{''.join(cells)}")


def ratios(slow: Times, fast: Times) -> list[float]:
    """Slow over fast in wall seconds, one for each repetition."""
    return [one / other for one, other in zip(slow.wall, fast.wall, strict=True)]
