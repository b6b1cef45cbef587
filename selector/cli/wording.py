"""What happens during a run, in words: one line an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selector.cli import data_findings
from selector.events import (
    EditionBegun,
    Event,
    FinalsEnded,
    FinalsReady,
    FunnelEnded,
    HistoryChosen,
    LimitsChecked,
    NoticeFailed,
    RunPaused,
    RunReady,
    ScheduleNote,
    SealBroken,
    StoreAnswers,
    StoreSilent,
    StudyChanged,
    TrialEnded,
    TrialLost,
    TrialNote,
    WorkerNote,
    WriterFailed,
)
from selector.records import Heat
from selector.reporting import figures
from selector.reporting.failures import paused

# The parameters that every reader looks for, and what they are called in a narrow line.
MAIN_PARAMS = {"lr": "lr", "freeze_depth": "freeze", "batch_size": "batch"}


def data_line(ready: RunReady) -> str:
    """The images and classes of the study."""
    sizes = ", ".join(f"{count:,} {split}" for split, count in ready.counts.items())
    return f"data    {sizes} images in {ready.classes} classes"


def study_line(ready: RunReady) -> str:
    """What is searched, where it runs."""
    metric = figures.with_arrow(ready.metric, ready.goal)
    return f"study   {figures.safe(ready.study)}: {metric}, on {figures.safe(ready.device)}"


def audit_lines(ready: RunReady) -> tuple[str, ...]:
    """What the audit of the data warns of."""
    return data_findings.warning_lines(ready.audit)


def store_line(ready: RunReady) -> str:
    """Where results go."""
    return f"store   {figures.safe(ready.store)}"


def budget_line(ready: RunReady) -> str:
    """The budget, and what earlier runs have used of it."""
    line = f"budget  {ready.trials} trials of at most {ready.epochs} epochs"
    earlier = ready.earlier.finished
    if not earlier:
        return line
    best = f", best {figures.score(ready.best_score)}" if ready.best_score is not None else ""
    return f"{line}; {earlier} done before{best}"


def said(event: Event) -> tuple[str, ...]:
    """What an event is worth in lines that stay; most are worth none."""
    match event:
        case StudyChanged():
            return change_lines(event)
        case SealBroken():
            return (seal_line(event),)
        case LimitsChecked():
            return limit_lines(event)
        case FunnelEnded():
            return funnel_lines(event)
        case HistoryChosen():
            return (history_line(event),)
        case EditionBegun():
            return (f"edition {figures.safe(event.study)}: {figures.safe(event.reason)}",)
        case FinalsEnded():
            return (pick_line(event),)
        case TrialNote():
            return (note_line(event),)
        case WorkerNote():
            return (worker_line(event),)
        case NoticeFailed():
            target, reason = figures.safe(event.target), figures.safe(event.reason)
            return (f"notify  {target} was not told: {reason}",)
        case WriterFailed():
            writer, reason = figures.safe(event.writer), figures.safe(event.reason)
            return (f"writer  {writer} is switched off for this run: {reason}",)
        case ScheduleNote(text=text):
            return (text,)
        case RunPaused():
            return (f"paused: {paused(event.cause, trial=event.trial)}",)
        case _:
            return ()


def change_lines(changed: StudyChanged) -> tuple[str, ...]:
    """What is no longer as in the earlier runs of the study."""
    accepted = (f"changed {figures.safe(line.strip())} (accepted)" for line in changed.accepted)
    wider = (f"wider   {figures.safe(line.strip())}" for line in changed.wider)
    other = (f"changed {figures.safe(line.strip())}" for line in changed.made_otherwise)
    return (*accepted, *wider, *other)


def seal_line(broken: SealBroken) -> str:
    """That somebody has seen test scores, and what it means for what comes."""
    opening = broken.opening
    gone = ", a study deleted since" if opening.study_deleted else ""
    return (
        f"seal    the test split was opened {figures.moment(opening.opened_at)} UTC by "
        f"{figures.safe(opening.who)} for {figures.safe(opening.study)}:{opening.trial}{gone}: "
        "what is chosen from now on may be chosen with its help"
    )


def funnel_lines(ended: FunnelEnded) -> tuple[str, ...]:
    """The order in which the backbones are tried first, and what could not be measured."""
    order = " > ".join(figures.safe(name) for name in ended.order)
    measured = f"funnel  {order}, in {figures.duration(ended.seconds)}"
    lines = (
        f"funnel  {figures.safe(name)} not measured: {figures.safe(why)}"
        for name, why in ended.missing.items()
    )
    return (*((measured,) if ended.order else ()), *lines)


def history_line(chosen: HistoryChosen) -> str:
    """Which earlier studies lend recipes for the first trials."""
    if not chosen.recipes:
        return "history no earlier study has a recipe for this one"
    studies = ", ".join(figures.safe(name) for name in chosen.studies)
    several = "recipe" if chosen.recipes == 1 else "recipes"
    return f"history {chosen.recipes} {several} of {studies} first"


def limit_lines(checked: LimitsChecked) -> tuple[str, ...]:
    """How many networks may be shipped, and which are not trained for what they cost."""
    total = checked.kept + len(checked.left_out)
    lines = (f"limits  left out {figures.safe(line)}" for line in checked.left_out)
    return (*lines, f"limits  {checked.kept} of {total} networks meet them")


def name_width(ready: RunReady) -> int:
    """Columns for a backbone's name, so that the lines of all trials align."""
    return max(len(figures.safe(name)) for name in ready.backbones)


def trial_line(ended: TrialEnded, *, names: int) -> str:
    """A finished trial: how it ended and what it reached; `names` is as from `name_width`."""
    start = f"{_called(ended)}  {ended.state:<8}  {figures.safe(ended.backbone):<{names}}"
    if ended.state == "failed":
        return f"{start}  {figures.safe(ended.failure or 'no reason given')}"
    at = f"{figures.score(ended.score)} @ {ended.best_epoch}/{ended.epochs}"
    return f"{start}  {at:<13} {figures.duration(ended.seconds):>6}"


def note_line(note: TrialNote) -> str:
    """Where a trial that was begun before goes on."""
    return f"trial {note.number:>3}  {figures.safe(note.text)}"


def lost_line(lost: TrialLost) -> str:
    """A trial that this run lost to another worker."""
    return f"trial {lost.number:>3}  lost      {figures.safe(lost.reason)}"


_GOES_ON = "training goes on, results are kept here"


class StoreLines:
    """One line when the store falls silent and one when it answers, however many workers say so."""

    def __init__(self) -> None:
        self._silent = self._waits = False

    def line(self, event: StoreSilent | StoreAnswers) -> str | None:
        """What is worth saying now."""
        silent = isinstance(event, StoreSilent)
        if silent == self._silent:
            return None
        self._silent = silent
        if isinstance(event, StoreSilent):
            self._waits, why = event.waits, figures.safe(event.reason)
            what = "this waits for it" if event.waits else _GOES_ON
            return f"store   does not answer; {what} ({why})"
        took = figures.duration(event.seconds)
        then = "" if self._waits else "; what was kept is written"
        return f"store   answers again after {took}{then}"


def worker_line(note: WorkerNote) -> str:
    """What a worker in another process said, or what became of it."""
    return f"worker {note.worker}  {figures.safe(note.text)}"


def heat_name(heat: Heat, *, folds: int) -> str:
    """Which training of the finals it is, as `final  12, seed 1, fold 1/3`."""
    fold = f", fold {heat.fold + 1}/{folds}" if folds else ""
    return f"final {heat.finalist:>3}, seed {heat.seed}{fold}"


def finals_line(ready: FinalsReady) -> str:
    """Who is in the finals, and what that costs."""
    trials = ", ".join(str(number) for number in ready.finalists)
    folds = f" on {ready.folds} folds" if ready.folds else ""
    return f"finals  trials {trials} again, {ready.seeds} seeds{folds}: {ready.runs} runs"


def pick_line(ended: FinalsEnded) -> str:
    """What the finals ended with."""
    pick = "none" if ended.pick is None else f"trial {ended.pick}"
    return f"pick    {pick}: {figures.safe(ended.reason)}"


def is_best(ended: TrialEnded) -> bool:
    """Whether no candidate so far is better; no single run of the finals is called the best."""
    return ended.best_trial == ended.number and ended.heat is None


def best_part(ended: TrialEnded) -> str:
    """The best candidate so far, for the end of a line that stands alone."""
    if ended.best_score is None or ended.state == "failed" or ended.heat is not None:
        return ""
    return "  new best" if is_best(ended) else f"  best {figures.score(ended.best_score)}"


def _called(ended: TrialEnded) -> str:
    if ended.heat is None:
        return f"trial {ended.number:>3}"
    return heat_name(ended.heat, folds=ended.folds)


def rough(seconds: float) -> str:
    """An estimated duration, without the decimals it cannot have."""
    return f"{seconds:.0f}s" if seconds < 60 else figures.duration(seconds)


def main_params(params: Mapping[str, Any]) -> str:
    """The parameters that matter most, as `lr 0.001  freeze 3  batch 32`."""
    named = ((short, params[name]) for name, short in MAIN_PARAMS.items() if name in params)
    return "  ".join(f"{short} {figures.value(value)}" for short, value in named)


def size(number: float) -> str:
    """Bytes for people, as `1.4 GB`."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
