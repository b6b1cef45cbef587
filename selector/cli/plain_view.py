"""A run on a pipe or in a log file: one line a trial."""

from __future__ import annotations

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

    def __init__(self) -> None:
        self._names = 0
        self._store_lines = wording.StoreLines()

    def __call__(self, event: Event) -> None:
        """Print what the event is worth."""
        match event:
            case DataProgress(done=done, total=total) if done == total:
                note(f"{event.label}: {total:,} {event.unit}")
            case RunReady():
                self._names = wording.name_width(event)
                for line in (
                    wording.study_line(event),
                    wording.data_line(event),
                    *wording.audit_lines(event),
                    wording.store_line(event),
                    wording.budget_line(event),
                ):
                    note(line)
            case FinalsReady():
                note(wording.finals_line(event))
            case TrialEnded():
                note(wording.trial_line(event, names=self._names) + wording.best_part(event))
            case TrialLost():
                note(wording.lost_line(event))
            case StoreSilent() | StoreAnswers():
                if (said := self._store_lines.line(event)) is not None:
                    note(said)
            case RunEnded(reason=reason, seconds=seconds):
                note(f"ended   {reason}, after {figures.duration(seconds)}")
            case _:
                for line in wording.said(event):
                    note(line)
