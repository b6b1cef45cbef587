"""Processes named so that no later one is taken for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import psutil


def process_named(pid: int | None = None) -> dict[str, Any]:
    """What tells a process, by default this one, from every other: host, number and start."""
    pid = os.getpid() if pid is None else pid
    return {"host": socket.gethostname(), "pid": pid, "created": _seconds_after_boot(pid)}


def process_lives(named: Mapping[str, Any]) -> bool:
    """Whether a process of this host is still the one that `process_named` named."""
    try:
        return abs(_seconds_after_boot(int(named["pid"])) - float(named["created"])) < 1.0
    except psutil.NoSuchProcess:
        return False


def _seconds_after_boot(pid: int) -> float:
    # The wall clock may be set while a process runs; both of these move with it.
    return psutil.Process(pid).create_time() - psutil.boot_time()
