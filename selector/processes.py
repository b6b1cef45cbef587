"""Processes told apart, and whether one of this machine still lives."""

from __future__ import annotations

import os
import socket

import psutil

from selector.records import ProcessName


def named(pid: int | None = None) -> ProcessName:
    """What tells a process of this machine, by default this one, from every other, ever.

    Raises psutil.NoSuchProcess where it is gone.
    """
    pid = os.getpid() if pid is None else pid
    return ProcessName(host=socket.gethostname(), pid=pid, created=_seconds_after_boot(pid))


def same(one: ProcessName, other: ProcessName) -> bool:
    """Whether two names are of one process; when it began is known to the second."""
    began_together = abs(one.created - other.created) < 1.0
    return (one.host, one.pid) == (other.host, other.pid) and began_together


def lives(process: ProcessName) -> bool:
    """Whether a process of this machine is still there, and not another one under its number."""
    try:
        return abs(_seconds_after_boot(process.pid) - process.created) < 1.0
    except psutil.NoSuchProcess:
        return False


def _seconds_after_boot(pid: int) -> float:
    # The wall clock may be set while a process runs; both of these move with it.
    return psutil.Process(pid).create_time() - psutil.boot_time()
