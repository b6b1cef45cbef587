"""`stop`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from selector.cli.options import StoreUrl, StudyName
from selector.cli.output import note, reading


def stop(study: StudyName, store: StoreUrl = None) -> None:
    """Ask all workers of a study to stop, on whatever machine; nothing is lost.

    Each keeps the trial that it trains and hands it back; `selector run` continues the study.
    """
    from selector.identity import who

    with reading(store) as opened:
        running = opened.counts(study).running
        if not opened.ask_to_stop(study, who=who()):
            note(f"Study '{study}' has finished; there is nothing to stop.")
            return
    note(f"Study '{study}' is stopped. Continue it with: selector run FILE")
    if running:
        trials = "1 trial runs" if running == 1 else f"{running} trials run"
        note(f"{trials} still; each is kept and handed back when its worker hears of it.")


COMMANDS: Mapping[str, Callable[..., Any]] = {"stop": stop}
