"""Champions as pages: the present one, its history, and what a scheduled run came to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selector.records import Challenge, Champion, Promotion, Renewal
from selector.reporting import figures
from selector.reporting.base import Cell, Column, FlatTable, Page, ShownTable, present

_WORDS = {
    "first": "first",
    "swap": "swapped",
    "kept": "kept",
    "undecided": "undecided",
    "by_hand": "by hand",
    "rollback": "rolled back",
}
_TITLES = {
    "first": "new champion",
    "swap": "champion replaced",
    "kept": "champion kept",
    "undecided": "undecided",
    "unchanged": "nothing to do",
    "busy": "busy",
}
_FLAT = (
    "number",
    "at",
    "action",
    "study",
    "trial",
    "champion_study",
    "champion_trial",
    "previous_study",
    "previous_trial",
    "metric",
    "challenger_score",
    "champion_score",
    "difference",
    "low",
    "high",
    "p_value",
    "samples",
    "excluded",
    "who",
    "reason",
)


def champion_page(decisions: Sequence[Promotion], *, artifacts: Path) -> Page:
    """What is shipped now, since when, and why; `decisions` are all those of its family."""
    champion = decisions[-1].champion
    since = _since(decisions)
    last = decisions[-1]
    facts = [
        ("champion", f"trial {champion.trial} of {figures.safe(champion.study)}"),
        ("bundle", figures.safe(str(champion.folder(artifacts)))),
        ("since (UTC)", f"{figures.moment(since.at)}, by {figures.safe(since.decision.who)}"),
        ("why", figures.safe(since.decision.reason)),
    ]
    if last.number != since.number:
        said = f"{_WORDS[last.decision.action]}: {figures.safe(last.decision.reason)}"
        facts.append(("latest (UTC)", f"{figures.moment(last.at)}, {said}"))
    return Page(
        title=f"Champion of {figures.safe(champion.name)}",
        facts=tuple(facts),
        document=lambda: {
            "name": champion.name,
            "champion": _plain(champion, artifacts),
            "since": _decision(since),
            "latest": _decision(last),
        },
        flat=lambda: FlatTable(
            ("name", "study", "trial", "bundle", "since"),
            (
                (
                    champion.name,
                    champion.study,
                    champion.trial,
                    str(champion.folder(artifacts)),
                    since.at,
                ),
            ),
        ),
    )


def champions_page(families: Sequence[Sequence[Promotion]], *, artifacts: Path) -> Page:
    """What is shipped now of every family; each comes with all decisions about its champions."""
    columns = (
        Column("name"),
        Column("champion"),
        Column("since (UTC)", drop=1),
        Column("latest"),
        Column("why", drop=2),
    )
    rows = tuple(
        (
            figures.safe(decisions[-1].champion.name),
            f"trial {decisions[-1].champion.trial} of {figures.safe(decisions[-1].champion.study)}",
            figures.moment(_since(decisions).at),
            f"{_WORDS[decisions[-1].decision.action]}, {figures.moment(decisions[-1].at)}",
            figures.safe(decisions[-1].decision.reason),
        )
        for decisions in families
    )
    pages = [champion_page(decisions, artifacts=artifacts) for decisions in families]
    return Page(
        title="Champions",
        tables=present(ShownTable("", columns, rows)) if rows else (),
        notes=() if rows else ("No champion yet: selector renew STUDY.yaml",),
        document=lambda: [page.document() for page in pages],
        flat=lambda: FlatTable(
            ("name", "study", "trial", "bundle", "since"),
            tuple(row for page in pages for row in page.flat().rows),
        ),
    )


def history_page(decisions: Sequence[Promotion]) -> Page:
    """Every decision about the champions of a family, the latest first."""
    latest = tuple(reversed(decisions))
    columns = (
        Column("#", right=True),
        Column("at (UTC)"),
        Column("what"),
        Column("candidate"),
        Column("champion after", drop=2),
        Column("new", right=True, drop=1),
        Column("old", right=True, drop=1),
        Column("difference (95%)", right=True),
        Column("p", right=True),
        Column("by", drop=3),
    )
    rows = tuple(_cells(each) for each in latest)
    reasons = tuple(
        f"{each.number}: {figures.safe(each.decision.reason)}"
        for each in latest
        if each.decision.challenge is None
    )
    return Page(
        title=f"Champions of {figures.safe(decisions[-1].name)}",
        tables=present(ShownTable("", columns, rows, frozenset({0}))),
        notes=reasons,
        document=lambda: [_decision(each) for each in latest],
        flat=lambda: FlatTable(_FLAT, tuple(_flat(each) for each in latest)),
    )


def renewal_page(found: Renewal, *, artifacts: Path) -> Page:
    """What a scheduled run came to: one line, and where the champion is."""
    said = figures.safe(found.reason)
    champion = found.champion
    shown = [] if champion is None else [("bundle", figures.safe(str(champion.folder(artifacts))))]
    if champion is not None:
        of = f"trial {champion.trial} of {figures.safe(champion.study)}"
        shown.insert(0, ("champion", of))
    return Page(
        title=f"{figures.safe(found.name)}: {_TITLES[found.outcome]}; {said}",
        facts=tuple(shown),
        document=lambda: {
            "name": found.name,
            "outcome": found.outcome,
            "reason": found.reason,
            "edition": found.edition,
            "champion": None if champion is None else _plain(champion, artifacts),
            "challenge": None if found.challenge is None else dataclasses.asdict(found.challenge),
        },
        flat=lambda: FlatTable(
            ("name", "outcome", "edition", "champion_study", "champion_trial", "reason"),
            (
                (
                    found.name,
                    found.outcome,
                    found.edition,
                    None if champion is None else champion.study,
                    None if champion is None else champion.trial,
                    found.reason,
                ),
            ),
        ),
    )


def challenge_words(found: Challenge) -> str:
    """A comparison in one line, without its verdict."""
    scores = (
        f"{figures.score(found.challenger_score)} against {figures.score(found.champion_score)}"
    )
    left_out = f", {found.excluded} that it was trained on left out" if found.excluded else ""
    return (
        f"{found.metric} {scores} of the champion on {found.samples} validation samples{left_out} "
        f"(difference {found.difference:+.3f}, 95% {_gap(found)}, {figures.p_value(found.p_value)})"
    )


def _since(decisions: Sequence[Promotion]) -> Promotion:
    """The decision that made the present champion what it is."""
    champion = decisions[-1].champion.id
    changed = (d for d in decisions if d.previous is None or d.previous.id != d.champion.id)
    return [each for each in changed if each.champion.id == champion][-1]


def _cells(each: Promotion) -> tuple[str, ...]:
    decision, found = each.decision, each.decision.challenge
    after = f"{figures.safe(each.champion.study)}:{each.champion.trial}"
    start = (
        str(each.number),
        figures.moment(each.at),
        _WORDS[decision.action],
        f"{figures.safe(decision.study)}:{decision.trial}",
        after,
    )
    if found is None:
        return (*start, "", "", "", "", figures.safe(decision.who))
    return (
        *start,
        figures.score(found.challenger_score),
        figures.score(found.champion_score),
        f"{found.difference:+.3f} ({_gap(found)})",
        figures.p_value(found.p_value).removeprefix("p = ").removeprefix("p "),
        figures.safe(decision.who),
    )


def _gap(found: Challenge) -> str:
    return f"{found.low:+.3f} to {found.high:+.3f}"


def _plain(champion: Champion, artifacts: Path) -> dict[str, Any]:
    plain = dataclasses.asdict(champion)
    return {**plain, "bundle": str(champion.folder(artifacts))}


def _decision(each: Promotion) -> dict[str, Any]:
    return {
        "number": each.number,
        "at": each.at,
        **dataclasses.asdict(each.decision),
        "champion": _named(each.champion),
        "previous": _named(each.previous),
    }


def _named(champion: Champion | None) -> dict[str, Any] | None:
    return None if champion is None else {"study": champion.study, "trial": champion.trial}


def _flat(each: Promotion) -> tuple[Cell, ...]:
    found, before = each.decision.challenge, each.previous
    measured = _FLAT[_FLAT.index("metric") : _FLAT.index("who")]
    return (
        each.number,
        each.at,
        each.decision.action,
        each.decision.study,
        each.decision.trial,
        each.champion.study,
        each.champion.trial,
        None if before is None else before.study,
        None if before is None else before.trial,
        *(None if found is None else getattr(found, name) for name in measured),
        each.decision.who,
        each.decision.reason,
    )
