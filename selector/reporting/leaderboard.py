"""The leaderboard as a page."""

from __future__ import annotations

import dataclasses
from typing import Any

from selector.records import Leaderboard, LeaderboardRow, TrialCounts
from selector.reporting import figures, finals, flat, proxies
from selector.reporting.base import Column, Page, ShownTable

# Parameters that every reader looks for, with short headings and the order they are dropped in.
_USUAL = {"lr": ("lr", 3), "freeze_depth": ("freeze", 4), "batch_size": ("batch", 5)}


def page(leaderboard: Leaderboard) -> Page:
    """What a reader wants of a leaderboard: order, scores, how sure, at what cost."""
    metric = figures.with_arrow(leaderboard.metric, leaderboard.goal)
    samples = leaderboard.counts.get("validation", 0)
    return Page(
        title=f"{figures.safe(leaderboard.study)}: {metric} on {samples} validation samples",
        tables=(
            *((_table(leaderboard, metric),) if leaderboard.candidates else ()),
            *finals.tables(leaderboard.finals),
            *finals.opening_tables(leaderboard.openings),
            *proxies.tables(leaderboard.proxies),
        ),
        notes=(
            *_notes(leaderboard),
            *proxies.notes(leaderboard.proxies),
            *finals.notes(leaderboard.finals, leaderboard.verdict, leaderboard.openings),
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
        **finals.document(leaderboard.finals, leaderboard.verdict, leaderboard.openings),
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
    tied = sum(row.tied_with_best for row in leaderboard.candidates)
    if tied < 2:
        return (trials,)
    samples = leaderboard.counts.get("validation", 0)
    return (f"=  {tied} candidates cannot be told apart by {samples} samples (95% level)", trials)


def _table(leaderboard: Leaderboard, metric: str) -> ShownTable:
    rows = leaderboard.candidates
    several_tied = sum(row.tied_with_best for row in rows) > 1
    columns = [
        (Column("#", right=True), [str(r.rank) for r in rows]),
        (Column("trial", right=True), [str(r.trial) for r in rows]),
        (Column("backbone"), [figures.safe(r.backbone) for r in rows]),
        (Column(metric, right=True), [figures.score(r.score) for r in rows]),
        (Column("95% interval", right=True), [figures.interval(r.ci_low, r.ci_high) for r in rows]),
        (Column("="), ["=" if several_tied and r.tied_with_best else "" for r in rows]),
        *_usual_params(rows),
        (Column("epoch", right=True, drop=7), [f"{r.best_epoch}/{r.epochs}" for r in rows]),
        (Column("params M", right=True, drop=8), [figures.millions(r.parameters) for r in rows]),
        (Column("ms", right=True, drop=6), [figures.milliseconds(r.latency_ms) for r in rows]),
        (Column("time", right=True, drop=9), [figures.duration(r.seconds) for r in rows]),
        *_varied_params(rows),
    ]
    return ShownTable(
        title="",
        columns=tuple(column for column, _ in columns),
        rows=tuple(zip(*(cells for _, cells in columns), strict=True)),
        strong_rows=frozenset({0}),
    )


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
        (Column(figures.safe(name), right=True, drop=10 + place), _values(rows, name))
        for place, name in enumerate(varied)
    ]


def _values(rows: tuple[LeaderboardRow, ...], name: str) -> list[str]:
    return [figures.value(row.params.get(name)) for row in rows]
