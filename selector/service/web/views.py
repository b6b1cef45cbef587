"""One study as page and API show it, read from the store."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from selector.records import Promotion, RunRow, StoredBundle, StudyRow, StudySummary
from selector.reporting import champions_page, figures, leaderboard
from selector.reporting.base import Column, ShownTable, present
from selector.reporting.failures import ended_early_table, failures_table, pause_of
from selector.reporting.schedules import schedules_page
from selector.service.schedule.listing import schedules_of
from selector.service.web.live import LiveTrial
from selector.service.web.site import Site
from selector.store import Store
from selector.store.states import SUBMITTED


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a study's page: tables and lines, under a heading."""

    anchor: str
    title: str
    tables: tuple[ShownTable, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyView:
    """What is known of a study now."""

    row: StudyRow
    summary: StudySummary
    live: tuple[LiveTrial, ...]
    bundles: tuple[StoredBundle, ...]
    runs: tuple[RunRow, ...]


def study_view(site: Site, name: str) -> StudyView:
    """A study as of now; InputError for an unknown one."""
    store, row = site.store, site.store.require_study(name)
    summary = next(each for each in store.studies() if each.name == name)
    return StudyView(
        row=row,
        summary=summary,
        live=site.progress.live(row),
        bundles=store.bundles(name),
        runs=store.runs(name),
    )


def status(view: StudyView) -> dict[str, Any]:
    """The study's status as plain JSON."""
    summary = view.summary
    return {
        "study": summary.name,
        "state": summary.state,
        "metric": {"name": summary.metric, "goal": summary.goal},
        "best": {
            "trial": summary.best_trial,
            "backbone": summary.best_backbone,
            "score": summary.best_score,
        },
        "trials": dataclasses.asdict(summary.counts),
        "trials_left": summary.trials_left,
        "created_at": summary.created_at.isoformat(),
        "live": [
            {
                "trial": trial.number,
                "final": trial.final,
                "backbone": trial.backbone,
                "params": dict(trial.params),
                "epoch": trial.epoch,
                "score": trial.score,
                "heard": trial.heard,
            }
            for trial in view.live
        ],
        "bundles": [
            {
                "id": bundle.id,
                "trial": bundle.trial,
                "format": bundle.format,
                "bytes": bundle.bytes,
                "made_at": bundle.made_at.isoformat(),
            }
            for bundle in view.bundles
        ],
    }


# --- sections of the page -----------------------------------------------------------------------


def live_section(site: Site, view: StudyView) -> Section | None:
    """The trials that run, with their last epoch."""
    del site
    if not view.live:
        return None
    epochs = (view.row.spec.get("budget") or {}).get("epochs")
    columns = (
        Column("trial", right=True),
        Column("backbone"),
        Column("epoch", right=True),
        Column(figures.with_arrow(view.row.metric, view.row.goal), right=True),
        Column("lr", right=True, drop=2),
        Column("freeze", right=True, drop=2),
        Column("batch", right=True, drop=2),
        Column("since (UTC)", drop=1),
    )
    rows = tuple(
        (
            _called(trial),
            figures.safe(trial.backbone),
            f"{trial.epoch or 0}/{epochs}" if epochs else str(trial.epoch or 0),
            figures.score(trial.score),
            figures.value(trial.params.get("lr")),
            figures.value(trial.params.get("freeze_depth")),
            figures.value(trial.params.get("batch_size")),
            figures.moment(trial.started_at),
        )
        for trial in view.live
    )
    lost = [_called(trial) for trial in view.live if not trial.heard]
    note = f"Not heard of any more: {', '.join(lost)}; whoever comes next takes over."
    return Section("live", "Running now", (ShownTable("", columns, rows),), (note,) if lost else ())


def _called(trial: LiveTrial) -> str:
    return f"final {trial.number}" if trial.final else str(trial.number)


def board_section(site: Site, view: StudyView) -> Section:
    """The leaderboard with its intervals and tie groups, the finals, what to expect."""
    board = site.boards.board(view.row.name)
    page = leaderboard.page(board)
    return Section("leaderboard", "Leaderboard", page.tables, page.notes)


def failures_section(site: Site, view: StudyView) -> Section | None:
    """Every failed trial under its cause."""
    if not view.summary.counts.failed:
        return None
    table = dataclasses.replace(failures_table(site.store.trials(view.row.name)), title="")
    return Section("failures", "Failures", present(table))


def runs_section(site: Site, view: StudyView) -> Section | None:
    """Who has worked on the study, and where."""
    # What only registers the study trains nothing: that is no run to whoever looks for one.
    worked = [run for run in view.runs if run.command != SUBMITTED]
    if not worked:
        return None
    columns = (
        Column("status"),
        Column("began (UTC)"),
        Column("time", right=True, drop=1),
        Column("host", drop=2),
        Column("command", drop=1),
    )
    rows = tuple(
        (
            run.status,
            figures.moment(run.started_at),
            figures.duration(
                None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()
            ),
            figures.safe(run.host),
            figures.safe(run.command),
        )
        for run in reversed(worked[-RUNS:])
    )
    earlier = len(worked) - len(rows)
    pause = pause_of(worked)
    hidden = (f"{earlier} earlier ones are not shown.",) if earlier else ()
    notes = (*((f"Paused: {pause}.",) if pause else ()), *hidden)
    early = ended_early_table(worked[-RUNS:], site.store.trials(view.row.name))
    return Section("runs", "Runs", present(ShownTable("", columns, rows), early), notes)


def schedule_panel(site: Site) -> Section | None:
    """When the studies that are served by a calendar are due next, and what they came to."""
    schedules, firings = schedules_of(site.store)
    if not schedules:
        return None
    return Section("schedule", "Schedule", schedules_page(schedules, firings).tables)


def champions_panel(site: Site) -> Section | None:
    """What is shipped now, since when and why."""
    decisions = champions_of(site.store)
    if not decisions:
        return None
    page = champions_page(decisions, artifacts=site.artifacts)
    return Section("champions", "Champions", page.tables)


def champions_of(store: Store) -> list[tuple[Promotion, ...]]:
    """The decisions about the champions of every family."""
    return [store.champions.decisions(name) for name in store.champions.families()]


RUNS = 10  # shown of a study
# Top to bottom. A panel of another part of the service is one more of these functions.
SECTIONS: tuple[Callable[[Site, StudyView], Section | None], ...] = (
    live_section,
    board_section,
    failures_section,
    runs_section,
)
# Panels below the list of studies, likewise.
PANELS: tuple[Callable[[Site], Section | None], ...] = (champions_panel, schedule_panel)


def sections(site: Site, view: StudyView) -> tuple[Section, ...]:
    """The parts of a study's page that have something to show."""
    found = (section(site, view) for section in SECTIONS)
    return tuple(section for section in found if section is not None)


def panels(site: Site) -> tuple[Section, ...]:
    """What stands below the list of studies."""
    found = (panel(site) for panel in PANELS)
    return tuple(section for section in found if section is not None)
