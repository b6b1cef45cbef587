"""Finals, the verdict, and what the test split said, as tables, notes and plain JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from selector.records import Finalist, Finals, OpenedScore, Opening, StudyRow, Verdict
from selector.reporting import figures
from selector.reporting.base import Column, FlatTable, Page, ShownTable, present

_LISTED = 20  # trials, by number
_FLAT = ("trial", "validation_score", "test_score", "ci_low", "ci_high")


def tables(finals: Finals | None, verdict: Verdict | None) -> tuple[ShownTable, ...]:
    """One row a finalist in order of the means, the pick's stands out; none before finals run."""
    if finals is None:
        return ()
    metric = figures.with_arrow(finals.metric, finals.goal)
    columns = (
        Column("#", right=True),
        Column("trial", right=True),
        Column("backbone"),
        Column(f"mean {metric}", right=True),
        Column("sd", right=True),
        Column("95% interval", right=True),
        Column("="),
        Column("search", right=True, drop=1),
        Column("runs", right=True, drop=2),
        Column("", drop=3),
    )
    several_tied = sum(row.tied_with_best for row in finals.finalists) > 1
    rows = tuple(_cells(row, several_tied=several_tied) for row in finals.finalists)
    # Not always the first: a pruned one may have the best mean, and cannot be shipped.
    chosen = finals.finalists[0].trial if verdict is None else verdict.trial
    strong = frozenset(n for n, row in enumerate(finals.finalists) if row.trial == chosen)
    return (ShownTable(f"Finals: {_design(finals)}", columns, rows, strong),)


def opening_tables(openings: Sequence[Opening], study: str) -> tuple[ShownTable, ...]:
    """Every look at the test split, with the scores side by side; `notes` say by whom and why.

    A trial of another study than `study` stands there as `OTHER:3`, and says where that one is
    deleted.
    """
    columns = (
        Column("opened (UTC)", drop=2),
        Column("trial"),
        Column("validation", right=True),
        Column("test", right=True),
        Column("95% interval", right=True, drop=1),
        Column("gap", right=True),
    )
    rows = tuple(
        (
            figures.moment(opening.opened_at),
            *_test_cells(opening, score, study),
        )
        for opening in openings
        for score in opening.scores or (None,)
    )
    return present(ShownTable("Test split", columns, rows))


def notes(
    finals: Finals | None,
    verdict: Verdict | None,
    openings: Sequence[Opening],
    *,
    study: str,
    after: Sequence[int] = (),
    reconciled: str = "",
) -> tuple[str, ...]:
    """The verdict in words, and what there is to know of finals and test split.

    `after` are the trials that began when the test split had been opened, `reconciled` says why
    the pick is not the first of the search.
    """
    lines = []
    if finals is not None and not finals.decided:
        lines.append("The finals have not ended: the same run command continues them.")
    if verdict is not None:
        lines.append(f"Pick: trial {verdict.trial}: {figures.safe(verdict.reason)}")
    lines += [reconciled] if reconciled else []
    return (*lines, *opening_notes(openings, study), *_after(verdict, after))


def opening_notes(openings: Sequence[Opening], study: str) -> tuple[str, ...]:
    """When the test split was opened, by whom and why, and what it means that it was not once."""
    lines = []
    for each in openings:
        gone = ", a study deleted since" if each.study_deleted else ""
        lines.append(
            f"Test split opened {figures.moment(each.opened_at)} UTC by {figures.safe(each.who)} "
            f"for trial {_trial(each, each.trial, study)}{gone}: {figures.safe(each.why)}"
        )
        if each.scores and each.no_reference is not None:
            why = figures.safe(each.no_reference)
            lines.append(f"No gap of a reference stands beside it: {why}.")
    told = sum(bool(each.scores) for each in openings)
    if told > 1:
        lines.append(
            f"It was opened {told} times: what was chosen after the first is not tested by it."
        )
    return tuple(lines)


def _after(verdict: Verdict | None, after: Sequence[int]) -> tuple[str, ...]:
    """What may have been chosen with the help of the test split."""
    lines = []
    if after:
        shown = ", ".join(str(number) for number in after[:_LISTED])
        more = f" and {len(after) - _LISTED} more" if len(after) > _LISTED else ""
        lines.append(
            f"†  Begun after the test split was opened, chosen with its help possible: "
            f"trial{'s' if len(after) > 1 else ''} {shown}{more}."
        )
    if verdict is not None and verdict.after_opening:
        lines.append(
            "The pick was chosen after the test split was opened, with its help possible: its "
            "test score is no proof."
        )
    return tuple(lines)


def document(
    finals: Finals | None,
    verdict: Verdict | None,
    openings: Sequence[Opening],
    *,
    after: Sequence[int] = (),
) -> dict[str, Any]:
    """`finalists`, `verdict` and `openings` as plain JSON, each once there is something to say."""
    plain: dict[str, Any] = {}
    if finals is not None:
        plain["finals"] = {
            name: getattr(finals, name)
            for name in ("metric", "goal", "seeds", "folds", "samples", "decided")
        }
        plain["finalists"] = [_plain(row) for row in finals.finalists]
    if verdict is not None:
        plain["verdict"] = dataclasses.asdict(verdict)
    if openings:
        plain["openings"] = [
            {**dataclasses.asdict(each), "scores": [_scored(score) for score in each.scores]}
            for each in openings
        ]
        plain["after_opening"] = list(after)
    return plain


def opening_page(study: StudyRow, opening: Opening) -> Page:
    """One look at the test split: every metric of the pick, and of the reference beside it."""
    metric = figures.with_arrow(study.metric, study.goal)
    return Page(
        title=f"{figures.safe(study.name)}: {metric} on {opening.samples} test samples",
        tables=opening_tables([opening], study.name),
        notes=opening_notes([opening], study.name),
        document=lambda: document(None, None, [opening])["openings"][0],
        flat=lambda: FlatTable(
            ("role", *_FLAT, "gap"),
            tuple(
                (score.role, *(getattr(score, name) for name in _FLAT), gap(score))
                for score in opening.scores
            ),
        ),
    )


def gap(score: OpenedScore) -> float:
    """Test score less validation score, in the metric's own sign."""
    return score.test_score - score.validation_score


def _plain(row: Finalist) -> dict[str, Any]:
    params = {name: value for name, value in row.params.items() if name != "backbone"}
    return {**dataclasses.asdict(row), "params": params}


def _scored(score: OpenedScore) -> dict[str, Any]:
    return {**dataclasses.asdict(score), "gap": gap(score)}


def _design(finals: Finals) -> str:
    seeds = f"{finals.seeds} seed{'s' if finals.seeds > 1 else ''}"
    return f"{seeds} on each of {finals.folds} folds" if finals.folds else seeds


def _cells(row: Finalist, *, several_tied: bool) -> tuple[str, ...]:
    failed = f", {row.failed} failed" if row.failed else ""
    return (
        str(row.rank),
        str(row.trial),
        figures.safe(row.backbone),
        figures.score(row.mean),
        figures.score(row.sd),
        figures.interval(row.ci_low, row.ci_high),
        "=" if several_tied and row.tied_with_best else "",
        figures.score(row.search_score),
        f"{len(row.scores)}{failed}",
        "reference" if row.reference else "",
    )


def _test_cells(opening: Opening, score: OpenedScore | None, study: str) -> tuple[str, ...]:
    gone = " (deleted)" if opening.study_deleted else ""
    if score is None:
        trial = f"{_trial(opening, opening.trial, study)}{gone}"
        return (trial, *(figures.MISSING,) * 3, "not finished")
    role = "" if score.role == "pick" else ", reference"
    change = gap(score)
    return (
        f"{_trial(opening, score.trial, study)}{gone}{role}",
        figures.score(score.validation_score),
        figures.score(score.test_score),
        figures.interval(score.ci_low, score.ci_high),
        figures.MISSING if math.isnan(change) else f"{change:+.4f}",
    )


def _trial(opening: Opening, number: int, study: str) -> str:
    """A trial by its number, of another study with that one's name."""
    return str(number) if opening.is_by(study) else f"{figures.safe(opening.study)}:{number}"
