"""A run on a pipe or in a log file: one line a trial."""

from __future__ import annotations

from selector.cli import wording
from selector.cli.output import note
from selector.events import (
    DataProgress,
    Event,
    FunnelEnded,
    RunEnded,
    RunReady,
    StoreAnswers,
    StoreSilent,
    StudyChanged,
    TrialEnded,
    TrialLost,
    WorkerNote,
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
            case DataProgress(done=done, total=total, label=label) if done == total:
                note(f"{label}: {total:,} images")
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
            case StudyChanged():
                for line in wording.change_lines(event):
                    note(line)
            case FunnelEnded():
                for line in wording.funnel_lines(event):
                    note(line)
            case TrialEnded():
                note(wording.trial_line(event, names=self._names) + wording.best_part(event))
            case TrialLost():
                note(wording.lost_line(event))
            case StoreSilent() | StoreAnswers():
                if (said := self._store_lines.line(event)) is not None:
                    note(said)
            case WorkerNote():
                note(wording.worker_line(event))
            case RunEnded(reason=reason, seconds=seconds):
                note(f"ended   {reason}, after {figures.duration(seconds)}")
            case _:
                pass  # epochs are for those who watch
