"""All studies of a store as a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from selector.records import StudySummary
from selector.reporting import figures, flat
from selector.reporting.base import Column, Page, ShownTable


def studies_page(studies: Sequence[StudySummary]) -> Page:
    """Every study in one line."""
    columns = (
        Column("study"),
        Column("metric", drop=2),
        Column("best", right=True),
        Column("backbone", drop=1),
        Column("complete", right=True),
        Column("pruned", right=True, drop=4),
        Column("failed", right=True, drop=3),
        Column("left", right=True, drop=5),
        Column("state"),
        Column("created (UTC)", drop=6),
    )
    rows = tuple(
        (
            figures.safe(study.name),
            figures.with_arrow(study.metric, study.goal),
            figures.score(study.best_score),
            figures.safe(study.best_backbone or figures.MISSING),
            str(study.counts.complete),
            str(study.counts.pruned),
            str(study.counts.failed),
            figures.whole(study.trials_left),
            study.state,
            figures.moment(study.created_at),
        )
        for study in studies
    )
    return Page(
        title="Studies",
        tables=(ShownTable("", columns, rows),) if rows else (),
        notes=() if rows else ("No study yet. Start one: selector run STUDY.yaml",),
        document=lambda: [_study_line(study) for study in studies],
        flat=lambda: flat.of_studies(studies),
    )


def _study_line(study: StudySummary) -> dict[str, Any]:
    return {
        "study": study.name,
        "metric": {"name": study.metric, "goal": study.goal},
        "best": {
            "trial": study.best_trial,
            "backbone": study.best_backbone,
            "score": study.best_score,
        },
        "trials": dataclasses.asdict(study.counts),
        "trials_left": study.trials_left,
        "state": study.state,
        "last_run_status": study.last_run_status,
        "created_at": study.created_at,
    }
