"""Failed trials by cause: for a study's page, and for a study that has nothing else to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from selector.records import RunRow, Scalar, TrialRow
from selector.reporting import figures
from selector.reporting.base import Column, ShownTable

UNKNOWN = "unknown"
PAUSES: Mapping[str, str] = {  # causes of a run's end that somebody has to put right
    "disk_full": "the disk is full: free space",
    "data": "the data cannot be read: restore it",
}
_MESSAGE = 120  # characters of a message in a table; the other formats have all of it


def failures_table(trials: Iterable[TrialRow]) -> ShownTable:
    """Every failed trial under its cause: how far it came, why it failed and with what."""
    columns = (
        Column("cause"),
        Column("trial", right=True),
        Column("epoch", right=True, drop=3),
        Column("message"),
        Column("configuration", drop=1),
        Column("again", drop=2),
    )
    rows = tuple(
        (
            figures.safe(_cause(trial)),
            str(trial.number),
            str(trial.epochs + 1),  # the one it did not finish
            figures.safe(_message(trial)),
            _configuration(trial.backbone, trial.params),
            "retried" if trial.retried else "",
        )
        for trial in _by_cause(trials)
    )
    return ShownTable("Failures", columns, rows)


def paused(cause: str, *, trial: int | None) -> str:
    """What a study waits for, and how it goes on."""
    waits = "" if trial is None else f"trial {trial} waits with its parameters, "
    return f"{PAUSES[cause]}; {waits}no budget is spent. Then the same command goes on"


def pause_of(runs: Sequence[RunRow]) -> str | None:
    """What a study waits for since its latest run; None where nothing has to be put right."""
    failure = runs[-1].failure if runs else None
    if failure is None or failure.cause not in PAUSES:
        return None
    return paused(failure.cause, trial=failure.trial)


def ended_early_table(runs: Sequence[RunRow], trials: Iterable[TrialRow]) -> ShownTable:
    """Every run that ended before its budget: why, and what trial it had then."""
    columns = (
        Column("run", right=True),
        Column("cause"),
        Column("trial", right=True),
        Column("epoch", right=True, drop=3),
        Column("message"),
        Column("configuration", drop=1),
    )
    by_number = {trial.number: trial for trial in trials}
    rows = []
    for run in runs:
        if (failure := run.failure) is None:
            continue
        trial = by_number.get(-1 if failure.trial is None else failure.trial)
        rows.append(
            (
                str(run.id),
                failure.cause,
                figures.whole(failure.trial),
                figures.whole(failure.epoch),
                figures.safe(_shortened(failure.message)),
                _configuration(trial.backbone, trial.params) if trial else "",
            )
        )
    return ShownTable("Runs that ended early", columns, tuple(rows))


def cause_lines(trials: Iterable[TrialRow]) -> tuple[str, ...]:
    """One line a cause, the most frequent first: how often, in which trials, the latest message."""
    groups = [list(group) for _, group in groupby(_by_cause(trials), key=_cause)]
    groups.sort(key=len, reverse=True)
    width = max((len(_cause(group[0])) for group in groups), default=0)
    return tuple(
        f"  {figures.safe(_cause(group[0])):<{width}}  {len(group):>3}  "
        f"trial{'' if len(group) == 1 else 's'} {_numbers(group)}{_since(group)}: "
        f"{figures.safe(_message(group[-1]))}"
        for group in groups
    )


def _by_cause(trials: Iterable[TrialRow]) -> list[TrialRow]:
    failed = (trial for trial in trials if trial.state == "failed")
    return sorted(failed, key=lambda trial: (_cause(trial), trial.number))


def _cause(trial: TrialRow) -> str:
    return trial.failure_cause or UNKNOWN


def _message(trial: TrialRow) -> str:
    return _shortened(trial.failure_message or "")


def _shortened(message: str) -> str:
    first = message.partition("\n")[0]
    return first if len(first) <= _MESSAGE else f"{first[: _MESSAGE - 1]}…"


def _numbers(trials: Sequence[TrialRow], *, shown: int = 8) -> str:
    numbers = ", ".join(str(trial.number) for trial in trials[:shown])
    return f"{numbers}, ..." if len(trials) > shown else numbers


def _since(trials: Sequence[TrialRow]) -> str:
    again = sum(trial.retried for trial in trials)
    return f" ({again} retried since)" if again else ""


def _configuration(backbone: str, params: Mapping[str, Scalar]) -> str:
    named = (
        f"{figures.safe(name)} {figures.value(value)}"
        for name, value in params.items()
        if name != "backbone"
    )
    return ", ".join((figures.safe(backbone), *named))
