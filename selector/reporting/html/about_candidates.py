"""The sections about the candidates: ranking, errors, classes, calibration, costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from selector import metrics
from selector.records import Cost, LeaderboardRow
from selector.reporting import figures
from selector.reporting import finals as final_reports
from selector.reporting import leaderboard as leaderboards
from selector.reporting.base import Column, ShownTable
from selector.reporting.html import plots_candidates as plots
from selector.reporting.html.material import Material
from selector.reporting.html.sections import Figure, Section
from selector.reporting.pick import reconciled, role_of

_FRONTS: tuple[Cost, Cost] = ("latency_ms", "parameters")


def leaderboard(material: Material) -> Section | None:
    """The candidates in order, with intervals and ties."""
    board = material.board
    if not board.candidates:
        return None
    page = leaderboards.page(board)
    metric = figures.with_arrow(board.metric, board.goal)
    return Section(
        anchor="leaderboard",
        title="Leaderboard",
        words=(
            f"Candidates in order of {board.metric}, with 95% bootstrap intervals over the "
            "validation images. Those marked = cannot be told apart from the best.",
            *page.notes[:1],
        ),
        figures=(plots.intervals(board.candidates, metric),),
        tables=page.tables[:1],
    )


def finals(material: Material) -> Section | None:
    """The best trained again on other seeds, and what the test split said."""
    board = material.board
    tables = (
        *final_reports.tables(board.finals, board.verdict),
        *final_reports.opening_tables(board.openings, board.study),
    )
    if not tables:
        return None
    return Section(
        anchor="finals",
        title="Finals and test split",
        words=final_reports.notes(
            board.finals,
            board.verdict,
            board.openings,
            study=board.study,
            after=board.after_opening,
            reconciled=reconciled(board),
        ),
        tables=tables,
    )


def errors(material: Material) -> Section | None:
    """What the pick got wrong, as pictures."""
    if material.winner is None:
        return None
    title = f"Most confident errors of {role_of(material.board)}"
    if not material.pictures:
        if not material.pictures_missing:
            return None
        return Section(
            anchor="errors",
            title=title,
            words=(f"No pictures: {material.pictures_missing}",),
        )
    return Section(
        anchor="errors",
        title=title,
        words=(
            "Validation images that it got wrong, the surest first. Beside each, "
            "where it looked (Grad-CAM): warm parts spoke for what it said. Wrong labels in the "
            "data show up here first.",
        ),
        pictures=material.pictures,
    )


def classes(material: Material) -> Section | None:
    """Confusion matrix and scores of each class of the pick."""
    log_p, study = material.log_probabilities, material.study
    if log_p is None:
        return None
    names = study.data.class_names
    matrix = plots.confusion_of(study.data.validation_labels, log_p)
    per_class = ShownTable(
        "Scores of each class",
        (
            Column("class"),
            Column("F1", right=True),
            Column("precision", right=True),
            Column("recall", right=True),
            Column("images", right=True),
        ),
        tuple(
            (
                figures.safe(score.name),
                figures.score(score.f1),
                figures.score(score.precision),
                figures.score(score.recall),
                str(score.support),
            )
            for score in sorted(material.class_scores, key=lambda s: s.f1)
        ),
    )
    worst = _worst_confusions(matrix, names)
    return Section(
        anchor="confusion",
        title=f"Classes of {role_of(material.board)}",
        words=("Rows are true classes, columns what it said.", *worst),
        figures=(plots.confusion(matrix, names),),
        tables=(per_class, _matrix_table(matrix, names)),
    )


def calibration(material: Material) -> Section | None:
    """How far the pick's probabilities can be believed."""
    log_p, labels = material.log_probabilities, material.study.data.validation_labels
    if log_p is None:
        return None
    rows = metrics.calibration_bins(labels, log_p)
    error = metrics.compute("ece", labels, log_p)
    lean = sum(count * (stated - seen) for stated, seen, count in rows) / len(labels)
    word = "too sure of itself" if lean > 0 else "too modest"
    return Section(
        anchor="calibration",
        title=f"Calibration of {role_of(material.board)}",
        words=(
            "How often it is right when it states a probability. Expected "
            f"calibration error {error:.3f}; on the whole it is {word} by {abs(lean):.3f}.",
        ),
        figures=(plots.calibration(rows, len(labels)),),
        tables=(
            ShownTable(
                "",
                (
                    Column("stated", right=True),
                    Column("right", right=True),
                    Column("images", right=True),
                ),
                tuple((f"{s:.3f}", f"{r:.3f}", str(n)) for s, r, n in rows),
            ),
        ),
    )


def costs(material: Material) -> Section | None:
    """Score against latency and size, with the Pareto fronts."""
    rows = material.board.candidates
    if len(rows) < 2:
        return None
    metric = figures.with_arrow(material.board.metric, material.board.goal)
    drawn: list[Figure] = []
    fronts: list[Sequence[bool]] = []
    latency, parameters = _FRONTS
    for name, title, cost, costs in (
        ("latency", "latency, ms for one image", latency, [row.latency_ms for row in rows]),
        ("size", "parameters, millions", parameters, [row.parameters / 1e6 for row in rows]),
    ):
        front = [cost in row.pareto for row in rows]
        fronts.append(front)
        drawn.append(plots.pareto(rows, costs, front, metric, name=name, title=title))
    table = ShownTable(
        "",
        (
            Column("trial", right=True),
            Column("backbone"),
            Column(metric, right=True),
            Column("ms", right=True),
            Column("params M", right=True),
            Column("fronts"),
        ),
        tuple(_cost_row(row, fronts[0][i], fronts[1][i]) for i, row in enumerate(rows)),
    )
    return Section(
        anchor="costs",
        title="Score against cost",
        words=("On the front, no other candidate is both better and cheaper.",),
        figures=tuple(drawn),
        tables=(table,),
    )


def _matrix_table(matrix: Any, names: Sequence[str]) -> ShownTable:
    columns = (Column("true \\ predicted"), *(Column(figures.safe(n), right=True) for n in names))
    rows = tuple(
        (figures.safe(name), *(str(int(count)) for count in row))
        for name, row in zip(names, matrix, strict=True)
    )
    return ShownTable("Confusion matrix", columns, rows)


def _worst_confusions(matrix: Any, names: Sequence[str]) -> tuple[str, ...]:
    off = matrix - np.diag(np.diag(matrix))
    order = np.argsort(off, axis=None)[::-1][:3]
    parts = []
    for place in order:
        actual, said = divmod(int(place), len(names))
        count = int(off[actual, said])
        if count > 0:
            parts.append(
                f"{figures.safe(names[actual])} taken for {figures.safe(names[said])} ({count})"
            )
    return (f"Most frequent confusions: {'; '.join(parts)}.",) if parts else ()


def _cost_row(row: LeaderboardRow, by_latency: bool, by_size: bool) -> tuple[str, ...]:
    fronts = ", ".join(n for n, on in (("latency", by_latency), ("size", by_size)) if on)
    return (
        str(row.trial),
        figures.safe(row.backbone),
        figures.score(row.score),
        figures.milliseconds(row.latency_ms),
        figures.millions(row.parameters),
        fronts,
    )
