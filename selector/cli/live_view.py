"""A run on a terminal: finished trials stay, the one that runs is redrawn."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field, replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from selector.cli import wording
from selector.events import (
    DataProgress,
    EpochEnded,
    Event,
    FinalsEnded,
    FinalsReady,
    NoticeFailed,
    RankingProgress,
    RunEnded,
    RunReady,
    StoreAnswers,
    StoreSilent,
    TrialEnded,
    TrialLost,
    TrialStarted,
    WorkerNote,
    WriterFailed,
)
from selector.records import TrialCounts
from selector.reporting import figures

_STYLES = {"complete": "green", "pruned": "yellow", "failed": "red"}
_BAR = 24  # columns


@dataclass(slots=True)
class Running:
    """A trial that has begun and not ended."""

    trial: TrialStarted
    began: float  # on the monotonic clock
    epoch: EpochEnded | None = None


@dataclass(slots=True)
class Seen:
    """What the events of a run have told so far."""

    ready: RunReady | None = None
    data: DataProgress | None = None
    running: dict[int, Running] = field(default_factory=dict)  # by trial number
    ranking: RankingProgress | None = None
    counts: TrialCounts = field(default_factory=TrialCounts)
    best_score: float | None = None
    best_trial: int | None = None
    seconds: list[float] = field(default_factory=list)  # of each trial that ended in this run

    def seconds_left(self, now: float) -> float | None:
        """The rest of the trials at the median time of a trial; None before the first ended."""
        if self.ready is None or not self.seconds:
            return None
        typical = statistics.median(self.seconds)
        trials = self.ready.trials - self.counts.finished
        spent = sum(min(typical, now - each.began) for each in self.running.values())
        # Several trials at a time share what is left.
        return max(0.0, trials * typical - spent) / max(1, len(self.running))


# Lines that stay; the others are dim.
_EVENT_STYLES: dict[type[Event], str] = {
    FinalsEnded: "bold",
    NoticeFailed: "yellow",
    WorkerNote: "yellow",
    WriterFailed: "yellow",
}


class LiveView:
    """Draws a run on a terminal; use it as a context around the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen = Seen()
        self._store_lines = wording.StoreLines()
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=5, transient=True
        )

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event; what has ended is printed above the moving part."""
        seen = self._seen
        match event:
            case DataProgress():
                seen.data = event if event.done < event.total else None
            case RankingProgress():
                seen.ranking = event if event.done < event.total else None
            case RunReady():
                seen.ready, seen.counts = event, event.earlier
                seen.best_score = event.best_score
                self._print_header(event)
            case FinalsReady():
                self._begin_finals(event)
            case TrialStarted():
                seen.running[event.number] = Running(event, time.monotonic())
            case EpochEnded() if event.number in seen.running:
                seen.running[event.number].epoch = event
            case TrialEnded():
                self._end_trial(event)
            case TrialLost() | StoreSilent() | StoreAnswers():
                self._warn(event)
            case RunEnded():
                seen.running.clear()
                took = figures.duration(event.seconds)
                self._print(Text(f"ended   {event.reason}, after {took}\n", style="dim"))
            case _:
                style = _EVENT_STYLES.get(type(event), "dim")
                for line in wording.said(event):
                    self._print(Text(line, style=style))

    def _print_header(self, ready: RunReady) -> None:
        self._print(Text(wording.study_line(ready), style="bold"))
        for line in (
            wording.data_line(ready),
            *wording.audit_lines(ready),
            wording.store_line(ready),
            wording.budget_line(ready),
        ):
            self._print(Text(line, style="dim"))

    def _begin_finals(self, ready: FinalsReady) -> None:
        seen = self._seen
        self._print(Text(wording.finals_line(ready), style="bold"))
        if seen.ready is not None:  # what is left is counted in runs of the finals now
            seen.ready = replace(seen.ready, trials=ready.runs)
        seen.counts, seen.best_score, seen.best_trial = ready.earlier, None, None

    def _warn(self, event: TrialLost | StoreSilent | StoreAnswers) -> None:
        if isinstance(event, TrialLost):
            self._seen.running.pop(event.number, None)
            said: str | None = wording.lost_line(event)
        else:
            said = self._store_lines.line(event)
        if said is not None:
            self._print(Text(said, style="yellow"))

    def _end_trial(self, ended: TrialEnded) -> None:
        seen = self._seen
        seen.running.pop(ended.number, None)
        # Of two workers, the one that counted first may be heard last.
        if ended.counts.finished >= seen.counts.finished:
            seen.counts, seen.best_score = ended.counts, ended.best_score
            seen.best_trial = ended.best_trial
        seen.seconds.append(ended.seconds)
        names = wording.name_width(seen.ready) if seen.ready else 0
        line = Text(wording.trial_line(ended, names=names))
        line.highlight_words([f"  {ended.state} "], style=_STYLES[ended.state])
        if wording.is_best(ended):
            line.append("  best", style="bold green")
        self._print(line)

    def _print(self, line: Text) -> None:
        self._console.print(line, no_wrap=True, overflow="ellipsis")

    def _draw(self) -> RenderableType:
        seen = self._seen
        lines: list[RenderableType] = []
        several = len(seen.running) > 1
        for _, each in sorted(seen.running.items()):
            lines.append(_trial_text(each.trial, _epoch_part(each.epoch) if several else ""))
        if seen.data is not None:
            lines.append(_bar(seen.data.label, seen.data.done, seen.data.total, ""))
        elif len(seen.running) == 1:
            (only,) = seen.running.values()
            lines.append(self._epochs(only.epoch))
        if seen.ready is not None:
            lines.append(self._totals(seen.ready))
        if seen.ranking is not None:
            lines.append(_bar("resampled", seen.ranking.done, seen.ranking.total, ""))
        elif seen.ready is None and seen.data is None:
            lines.append(Text("starting", style="dim"))
        return Group(*lines)

    def _epochs(self, epoch: EpochEnded | None) -> RenderableType:
        ready = self._seen.ready
        if epoch is None:
            epochs = ready.epochs if ready else 1
            return _bar(f"  epoch 1/{epochs}", 0, epochs, " ")
        scores = f"{figures.score(epoch.score)}  best of trial {figures.score(epoch.best_score)}"
        return _bar(f"  epoch {epoch.epoch}/{epoch.epochs}", epoch.epoch, epoch.epochs, scores)

    def _totals(self, ready: RunReady) -> RenderableType:
        seen, counts = self._seen, self._seen.counts
        parts = [
            f"{counts.finished}/{ready.trials} done:"
            f" {counts.complete} complete, {counts.pruned} pruned, {counts.failed} failed"
        ]
        if seen.best_score is not None:
            of = f" (trial {seen.best_trial})" if seen.best_trial is not None else ""
            parts.append(f"best {figures.score(seen.best_score)}{of}")
        left = seen.seconds_left(time.monotonic())
        if left is not None and seen.running:
            parts.append(f"~{wording.rough(left)} left")
        return Text("  ".join(parts), no_wrap=True, overflow="ellipsis")


def _trial_text(trial: TrialStarted, epoch: str) -> Text:
    called = f"trial {trial.number:>3}"
    if trial.heat is not None:
        called = wording.heat_name(trial.heat, folds=trial.folds)
    text = f"{called}  {epoch}{figures.safe(trial.backbone)}  "
    return Text(text + wording.main_params(trial.params), no_wrap=True, overflow="ellipsis")


def _epoch_part(epoch: EpochEnded | None) -> str:
    """How far a trial is, in a line that it has for itself."""
    if epoch is None:
        return f"{'epoch 1':<20}"
    reached = f"{epoch.epoch}/{epoch.epochs}, {figures.score(epoch.best_score)}"
    return f"{'epoch ' + reached:<20}"


def _bar(label: str, done: int, total: int, after: str) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        Text(figures.safe(label), no_wrap=True),
        ProgressBar(total=max(1, total), completed=done, width=_BAR),
        Text(after or f"{done:,}/{total:,}", no_wrap=True, overflow="ellipsis"),
    )
    return grid
