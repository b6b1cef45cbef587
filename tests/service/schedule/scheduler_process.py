"""A scheduler of a test that is a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from selector.service.schedule.files import StudyFiles
from selector.service.schedule.process import launcher
from selector.service.schedule.scheduler import Scheduler
from selector.store import Store
from tests.service.schedule.conftest import Bench
from tests.service.schedule.fires import waits


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
