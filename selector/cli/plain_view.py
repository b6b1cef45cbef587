"""A run on a pipe or in a log file: one line a trial."""

from __future__ import annotations

from collections.abc import Callable

from selector.cli import wording
from selector.cli.output import note
from selector.events import (
    DataProgress,
    Event,
    FinalsReady,
    RunEnded,
    RunReady,
    StoreAnswers,
    StoreSilent,
    TrialEnded,
    TrialLost,
)
from selector.reporting import figures


class PlainView:
    """Prints lines that stay; nothing is redrawn."""

    def __init__(self, say: Callable[[str], None] = note) -> None:
        self._say = say
        self._names = 0
        self._store_lines = wording.StoreLines()

    def __call__(self, event: Event) -> None:
        """Print what the event is worth."""
        match event:
            case DataProgress(done=done, total=total) if done == total:
                self._say(f"{event.label}: {total:,} {event.unit}")
            case RunReady():
                self._names = wording.name_width(event)
                for line in (
                    wording.study_line(event),
                    wording.data_line(event),
                    *wording.audit_lines(event),
                    wording.store_line(event),
                    wording.budget_line(event),
                ):
                    self._say(line)
            case FinalsReady():
                self._say(wording.finals_line(event))
            case TrialEnded():
                self._say(wording.trial_line(event, names=self._names) + wording.best_part(event))
            case TrialLost():
                self._say(wording.lost_line(event))
            case StoreSilent() | StoreAnswers():
                if (said := self._store_lines.line(event)) is not None:
                    self._say(said)
            case RunEnded(reason=reason, seconds=seconds):
                self._say(f"ended   {reason}, after {figures.duration(seconds)}")
            case _:
                for line in wording.said(event):
                    self._say(line)
