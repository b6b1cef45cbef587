"""Two candidates of a store side by side, as a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from selector.errors import InputError
from selector.records import Comparison, TrialRow
from selector.reporting import figures
from selector.reporting.base import Column, FlatTable, Page, ShownTable, present
from selector.selection import best_candidate
from selector.selection.compare import Side, compare
from selector.store import Store

SHOWN = 20  # samples in a table; JSON and CSV have all

_SIGNIFICANT = 0.05


def compare_stored(store: Store, a: str, b: str, *, metric: str | None = None) -> Comparison:
    """The comparison of two candidates, each named `STUDY:TRIAL`, or `STUDY` for its best one.

    Raises InputError for what is not in the store or is named twice, ConflictError for candidates
    on different data.
    """
    one, other = side_of(store, a), side_of(store, b)
    if (one.study.name, one.trial.number) == (other.study.name, other.trial.number):
        raise InputError(
            f"'{a}' and '{b}' are the same candidate, trial {one.trial.number} of study "
            f"'{one.study.name}'. Name two: {one.study.name}:TRIAL."
        )
    return compare(one, other, metric=metric)


def side_of(store: Store, name: str) -> Side:
    """The candidate named `STUDY:TRIAL`, or the best one of `STUDY`, with its predictions."""
    study_name, colon, number = name.partition(":")
    if colon and not (number.isascii() and number.isdigit()):
        raise InputError(f"'{name}' is no candidate. Write STUDY:TRIAL, such as '{study_name}:3'.")
    study = store.require_study(study_name)
    candidates = {row.number: row for row in store.trials(study_name) if row.state == "complete"}
    best = best_candidate(candidates.values(), goal=study.goal)
    chosen = candidates.get(int(number)) if colon else best
    if chosen is None:
        raise InputError(_no_candidate(study_name, number, candidates))
    return Side(study, chosen, store.log_probabilities(study_name, chosen.number))


def comparison_page(found: Comparison) -> Page:
    """Which of two is better, how sure that is, in which classes, and where they disagree."""
    return Page(
        title=f"{_named(found, 'a')} and {_named(found, 'b')}: {_metric(found)} "
        f"on {found.samples} validation samples",
        facts=_facts(found),
        tables=present(_classes(found), _disagreements(found)),
        notes=_notes(found),
        document=lambda: document(found),
        flat=lambda: _flat(found),
    )


def document(found: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON; differences are a - b."""
    plain = dataclasses.asdict(found)
    metric = {"name": plain.pop("metric"), "goal": plain.pop("goal")}
    return {"metric": metric, **plain, "verdict": _verdict(found)}


def _no_candidate(study: str, number: str, candidates: Mapping[int, TrialRow]) -> str:
    if not candidates:
        return f"Study '{study}' has no completed trial yet, so there is nothing to compare."
    known = ", ".join(str(known) for known in candidates)
    return f"Study '{study}' has no candidate {number}. Candidates: {known}."


def _facts(found: Comparison) -> tuple[tuple[str, str], ...]:
    pairs = (("A", found.a), ("B", found.b))
    alike = found.both_right + found.both_wrong
    return (
        *(
            (
                name,
                f"{figures.score(side.score)}  trial {side.trial} of "
                f"{figures.safe(side.study)}, {figures.safe(side.backbone)}",
            )
            for name, side in pairs
        ),
        (
            "A - B",
            f"{found.difference:+.4f}, 95% interval {_interval(found.low, found.high)}, "
            f"{figures.p_value(found.p_value)}",
        ),
        (
            "one right",
            f"A alone {found.only_a_right}, B alone {found.only_b_right}, "
            f"{figures.p_value(found.disagreement_p_value)}",
        ),
        (
            "alike",
            f"{alike}: {found.both_right} both right, {found.both_wrong} both wrong",
        ),
    )


def _notes(found: Comparison) -> tuple[str, ...]:
    hidden = len(found.disagreements) - SHOWN
    more = (f"{hidden} more disagreements: --format csv or json has all.",) if hidden > 0 else ()
    return (*more, _verdict(found))


def _verdict(found: Comparison) -> str:
    """Which one is better, in words."""
    if found.p_value >= _SIGNIFICANT:
        return f"{found.samples} samples do not tell A and B apart (95% level)."
    a_is_better = (found.difference > 0) == (found.goal == "maximize")
    name = "A" if a_is_better else "B"
    return f"{name} is better by {abs(found.difference):.4f} (95% level)."


def _classes(found: Comparison) -> ShownTable:
    columns = (
        Column("class"),
        Column("samples", right=True, drop=1),
        Column("F1 of A", right=True),
        Column("F1 of B", right=True),
        Column("A - B", right=True),
        Column("95% interval of all", right=True),
    )
    rows = tuple(
        (
            figures.safe(each.name),
            str(each.samples),
            figures.score(each.a),
            figures.score(each.b),
            f"{each.difference:+.4f}",
            _interval(each.low, each.high),
        )
        for each in sorted(found.classes, key=lambda each: -abs(each.difference))
    )
    return ShownTable("Classes, the largest difference first", columns, rows)


def _disagreements(found: Comparison) -> ShownTable:
    columns = (Column("sample"), Column("label"), Column("A says"), Column("B says"))
    rows = tuple(
        tuple(figures.safe(text) for text in (each.sample, each.label, each.a, each.b))
        for each in found.disagreements[:SHOWN]
    )
    return ShownTable(f"Disagreements: {len(found.disagreements)} samples", columns, rows)


def _flat(found: Comparison) -> FlatTable:
    rows = tuple(
        (each.sample, each.label, each.a, each.b, each.a == each.label, each.b == each.label)
        for each in found.disagreements
    )
    return FlatTable(("sample", "label", "a", "b", "a_right", "b_right"), rows)


def _named(found: Comparison, which: str) -> str:
    side = found.a if which == "a" else found.b
    return f"{figures.safe(side.study)}:{side.trial}"


def _metric(found: Comparison) -> str:
    return figures.with_arrow(found.metric, found.goal)


def _interval(low: float, high: float) -> str:
    """An interval of a difference, with signs, as `-0.012 to +0.034`."""
    known = math.isfinite(low) and math.isfinite(high)
    return f"{low:+.3f} to {high:+.3f}" if known else figures.MISSING
