"""What a worker in another process is told: plain values, no open connections."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A place for one worker: its number from 0, its device and its share of the cores.

    `others` are further devices, on which other processes train its trials with it.
    """

    number: int
    device: str
    threads: int | None = None  # of each of its processes; None: torch's own number
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessName:
    """What tells a process from every other: its host, its number, and when it began.

    `created` is in seconds after the machine was started.
    """

    host: str
    pid: int
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The run that a worker takes trials for; `folder` is where relative paths start.

    `host` is where the run was begun. Without a `store` the worker's own machine has to know it.
    """

    study: str
    run_id: int
    folder: str
    host: str
    store: str | None = field(repr=False)  # the full URL, password included


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one trial: `token` tells its owner from every other, ever.

    It lasts `seconds` from when it was last renewed.
    """

    token: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTrial:
    """A running trial as all workers see it.

    `seconds_left` of its lease is 0 or less where that is over, None where it never had one.
    """

    number: int
    token: str | None
    seconds_left: float | None

    @property
    def is_lost(self) -> bool:
        """Whether its worker let the lease run out, so that whoever comes next takes it over."""
        return self.seconds_left is not None and self.seconds_left <= 0
