"""What the tests fire in real processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from selector.errors import ConflictError
from selector.events import Observer, TrialNote
from selector.records import Outcome


def talks(study_file: Path, *, store: str, observe: Observer) -> Outcome:
    observe(TrialNote(number=3, text="goes on"))
    print("a line\nan unfinished line", end="", flush=True)
    os.write(2, b"\x1b[31mred\n")
    return Outcome(exit_code=0, line=f"{study_file.name} on {store}")


def conflicts(study_file: Path, *, store: str, observe: Observer) -> Outcome:
    raise ConflictError("the data changed\nand more")


def breaks(study_file: Path, *, store: str, observe: Observer) -> Outcome:
    raise ValueError("a bug")


def is_killed(study_file: Path, *, store: str, observe: Observer) -> Outcome:
    os.kill(os.getpid(), 9)
    raise AssertionError


def waits(study_file: Path, *, store: str, observe: Observer) -> Outcome:
    """Ends once there is a file `go` beside the study; leaves one when it begins and is stopped."""
    beside = study_file.parent
    (beside / f"began-{os.getpid()}").touch()
    try:
        while not (beside / "go").exists():
            time.sleep(0.01)
    except KeyboardInterrupt:
        (beside / f"stopped-{os.getpid()}").touch()
        raise
    return Outcome(exit_code=0, line="done")
