"""What the tests fire in real processes, and a scheduler that is a process of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from selector.errors import ConflictError
from selector.events import Observer, TrialNote
from selector.records import Outcome
from selector.service.schedule.files import StudyFiles
from selector.service.schedule.process import launcher
from selector.service.schedule.scheduler import Scheduler
from selector.store import Store
from tests.service.schedule.conftest import Bench


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


def serve(url: str, folder: str) -> None:
    """Serve the folder with `waits`, in real time."""
    with Store.open(url) as store:
        launch = launcher(waits, store=url)
        files = StudyFiles([Path(folder)])
        Scheduler(store, files, launch, watch=lambda study, event: None, lease_seconds=180).serve()


def race(url: str, folder: str) -> None:
    """Look at every time that is read, and end what was fired; print whether anything was."""
    with Store.open(url) as store:
        one = Bench(store, Path(folder), "2026-06-01 12:00")
        print("ready", flush=True)
        for time_of_look in sys.stdin:
            fired = len(one.fired)
            one.look(time_of_look.strip())
            if len(one.fired) > fired:
                one.end()
                one.look(time_of_look.strip())
            print("fired" if len(one.fired) > fired else "-", flush=True)


if __name__ == "__main__":
    {"serve": serve, "race": race}[sys.argv[1]](*sys.argv[2:])
