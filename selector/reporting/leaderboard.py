"""The leaderboard as a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from selector.records import Cost, Leaderboard, LeaderboardRow, TrialCounts
from selector.reporting import figures, finals, flat, history, proxies
from selector.reporting.base import Column, Page, ShownTable
from selector.reporting.pick import pick_of, reconciled

# Parameters that every reader looks for, with short headings and the order they are dropped in.
_USUAL = {"lr": ("lr", 4), "freeze_depth": ("freeze", 5), "batch_size": ("batch", 6)}
_COSTS: Mapping[Cost, tuple[str, Callable[[LeaderboardRow], str]]] = {
    "latency_ms": ("by latency", lambda row: f"{figures.milliseconds(row.latency_ms)} ms"),
    "parameters": ("by size", lambda row: f"{figures.millions(row.parameters)} M"),
    "seconds": ("by training", lambda row: figures.duration(row.seconds)),
}


def page(leaderboard: Leaderboard) -> Page:
    """What a reader wants of a leaderboard: order, scores, how sure, at what cost."""
    metric = figures.with_arrow(leaderboard.metric, leaderboard.goal)
    samples = leaderboard.counts.get("validation", 0)
    return Page(
        title=f"{figures.safe(leaderboard.study)}: {metric} on {samples} validation samples",
        tables=(
            *((_table(leaderboard, metric),) if leaderboard.candidates else ()),
            *finals.tables(leaderboard.finals, leaderboard.verdict),
            *finals.opening_tables(leaderboard.openings, leaderboard.study),
            *history.tables(leaderboard.history),
            *proxies.tables(leaderboard.proxies),
        ),
        notes=(
            *_notes(leaderboard),
            *history.notes(leaderboard.history),
            *proxies.notes(leaderboard.proxies),
            *finals.notes(
                leaderboard.finals,
                leaderboard.verdict,
                leaderboard.openings,
                study=leaderboard.study,
                after=leaderboard.after_opening,
                reconciled=reconciled(leaderboard),
            ),
        ),
        document=lambda: document(leaderboard),
        flat=lambda: flat.of_leaderboard(leaderboard),
    )


def document(leaderboard: Leaderboard) -> dict[str, Any]:
    """The leaderboard as plain JSON; other programs rely on its keys."""
    return {
        "study": leaderboard.study,
        "metric": {"name": leaderboard.metric, "goal": leaderboard.goal},
        "data": {"fingerprint": leaderboard.fingerprint, "counts": dict(leaderboard.counts)},
        "candidates": [_candidate(row) for row in leaderboard.candidates],
        "trials": dataclasses.asdict(leaderboard.trials),
        **finals.document(
            leaderboard.finals,
            leaderboard.verdict,
            leaderboard.openings,
            after=leaderboard.after_opening,
        ),
        "pick": None if leaderboard.pick is None else dataclasses.asdict(leaderboard.pick),
        "cheapest": dict(leaderboard.cheapest),
        **history.document(leaderboard.history),
        **proxies.document(leaderboard.proxies),
    }


def counted(trials: TrialCounts) -> str:
    """How many trials ended how, as `12 complete, 5 pruned, 1 failed`."""
    line = f"{trials.complete} complete, {trials.pruned} pruned, {trials.failed} failed"
    return f"{line}, {trials.running} running" if trials.running else line


def _candidate(row: LeaderboardRow) -> dict[str, Any]:
    plain = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    params = {name: value for name, value in row.params.items() if name != "backbone"}
    return {**plain, "params": params, "metrics": dict(row.metrics)}


def _notes(leaderboard: Leaderboard) -> tuple[str, ...]:
    trials = counted(leaderboard.trials)
    if not leaderboard.candidates:
        return (f"No candidate yet: {trials}.",)
    fronts = "*  no other candidate is as good at less" if len(leaderboard.candidates) > 1 else ""
    notes = (
        _tied(leaderboard),
        _cheapest(leaderboard),
        fronts,
        _expected(leaderboard),
        _kept(leaderboard),
        trials,
    )
    return tuple(note for note in notes if note)


def _kept(leaderboard: Leaderboard) -> str:
    """Whose checkpoints are there, where not all are."""
    rows = leaderboard.candidates
    missing = sum(row.checkpoint is None for row in rows)
    if not missing:
        return ""
    here = ", ".join(str(row.trial) for row in rows if row.checkpoint is not None) or "none"
    return (
        f"Checkpoints are kept of trials {here}; `selector show "
        f"{figures.safe(leaderboard.study)} TRIAL` says how to get another one back."
    )


def _tied(leaderboard: Leaderboard) -> str:
    tied = sum(row.tied_with_best for row in leaderboard.candidates)
    if tied < 2:
        return ""
    samples = leaderboard.counts.get("validation", 0)
    return f"=  {tied} candidates cannot be told apart by {samples} samples (95% level)"


def _cheapest(leaderboard: Leaderboard) -> str:
    """Which of the tied candidates to take where a cost decides; empty without a choice."""
    rows = {row.trial: row for row in leaderboard.candidates}
    if sum(row.tied_with_best for row in rows.values()) < 2:
        return ""
    parts = (
        f"trial {trial} {_COSTS[cost][0]} ({_COSTS[cost][1](rows[trial])})"
        for cost, trial in leaderboard.cheapest.items()
        if trial in rows
    )
    return f"   cheapest of them: {', '.join(parts)}"


def _expected(leaderboard: Leaderboard) -> str:
    pick = leaderboard.pick
    shown = pick_of(leaderboard)
    if pick is None or shown is None or pick.trial != shown.trial:
        return ""  # of another than the pick, nobody needs to expect anything
    if pick.compared < 2 or math.isnan(pick.expected_score):
        return ""
    return (
        f"{figures.score(pick.expected_score)} is what to expect of trial {pick.trial} on new "
        f"data: {figures.score(pick.score)} is the best of {pick.compared}"
    )


def _table(leaderboard: Leaderboard, metric: str) -> ShownTable:
    rows = leaderboard.candidates
    several_tied = sum(row.tied_with_best for row in rows) > 1
    late, shown = frozenset(leaderboard.after_opening), pick_of(leaderboard)
    columns = [
        (Column("#", right=True), [str(r.rank) for r in rows]),
        (
            Column("trial", right=True),
            [f"{r.trial}†" if r.trial in late else str(r.trial) for r in rows],
        ),
        (Column("backbone"), [figures.safe(r.backbone) for r in rows]),
        (Column(metric, right=True), [figures.score(r.score) for r in rows]),
        (Column("95% interval", right=True), [figures.interval(r.ci_low, r.ci_high) for r in rows]),
        (Column("="), ["=" if several_tied and r.tied_with_best else "" for r in rows]),
        (Column("group", right=True, drop=3), [figures.whole(r.tie_group) for r in rows]),
        (Column("P(best)", right=True, drop=2), [figures.share(r.probability_best) for r in rows]),
        *_usual_params(rows),
        (Column("epoch", right=True, drop=8), [f"{r.best_epoch}/{r.epochs}" for r in rows]),
        (
            Column("params M", right=True, drop=9),
            [_starred(figures.millions(r.parameters), r, "parameters") for r in rows],
        ),
        (
            Column("ms", right=True, drop=7),
            [_starred(figures.milliseconds(r.latency_ms), r, "latency_ms") for r in rows],
        ),
        (Column("time", right=True, drop=10), [figures.duration(r.seconds) for r in rows]),
        *_varied_params(rows),
    ]
    return ShownTable(
        title="",
        columns=tuple(column for column, _ in columns),
        rows=tuple(zip(*(cells for _, cells in columns), strict=True)),
        strong_rows=frozenset(place for place, r in enumerate(rows) if shown and r is shown),
    )


def _starred(text: str, row: LeaderboardRow, cost: Cost) -> str:
    """A cost with a star where no other candidate is as good and as cheap."""
    return f"{text}*" if cost in row.pareto else text


def _usual_params(rows: tuple[LeaderboardRow, ...]) -> list[tuple[Column, list[str]]]:
    return [
        (Column(heading, right=True, drop=drop), _values(rows, name))
        for name, (heading, drop) in _USUAL.items()
        if any(name in row.params for row in rows)
    ]


def _varied_params(rows: tuple[LeaderboardRow, ...]) -> list[tuple[Column, list[str]]]:
    """What else was searched; wide terminals only, as the JSON and CSV have it all."""
    names = {name: None for row in rows for name in row.params}
    varied = [
        name
        for name in names
        if name not in _USUAL
        and name != "backbone"
        and len({row.params.get(name) for row in rows}) > 1
    ]
    return [
        (Column(figures.safe(name), right=True, drop=11 + place), _values(rows, name))
        for place, name in enumerate(varied)
    ]


def _values(rows: tuple[LeaderboardRow, ...], name: str) -> list[str]:
    return [figures.value(row.params.get(name)) for row in rows]
