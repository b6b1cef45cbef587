"""Queries on the openings of test splits. Each takes an open connection."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, insert, select

from selector.records import OpenedScore, Opening, OpeningStart
from selector.store.encode import splits_hash
from selector.store.studies import find_study, study_id, unknown_study
from selector.store.tables import OpenedScoreTable, OpeningTable


def begin_opening(connection: Connection, start: OpeningStart) -> int:
    """Record that the test split is about to be read; the opening's key."""
    values = {
        "study_id": study_id(connection, start.study),
        "study": start.study,
        "splits": _splits(connection, start.study),
        "trial": start.trial,
        "who": start.who,
        "why": start.why,
        "fingerprint": start.fingerprint,
        "samples": start.samples,
        "no_reference": start.no_reference,
        "opened_at": dt.datetime.now(dt.UTC),
    }
    row = connection.execute(insert(OpeningTable).values(values).returning(OpeningTable.id))
    return int(row.scalar_one())


def record_test_scores(connection: Connection, opening: int, scores: Sequence[OpenedScore]) -> None:
    """Record what the test split said in an opening."""
    rows = [
        {
            "opening_id": opening,
            "role": score.role,
            "trial": score.trial,
            "validation_score": score.validation_score,
            "test_score": score.test_score,
            "ci_low": score.ci_low,
            "ci_high": score.ci_high,
            "metrics": {k: v if math.isfinite(v) else None for k, v in score.metrics.items()},
        }
        for score in scores
    ]
    connection.execute(insert(OpenedScoreTable), rows)


def list_openings(connection: Connection, study: str) -> tuple[Opening, ...]:
    """Every look at the test split by a study, the earliest first."""
    return _openings(connection, OpeningTable.study_id == study_id(connection, study))


def list_openings_of_data(connection: Connection, study: str) -> tuple[Opening, ...]:
    """Every look at the test split of a study by it or another one, the earliest first.

    Others count where they have the same images in the same splits, whatever they are called, and
    also when they have been deleted since.
    """
    return _openings(connection, OpeningTable.splits == _splits(connection, study))


def _splits(connection: Connection, study: str) -> str:
    row = find_study(connection, study)
    if row is None:
        raise unknown_study(connection, study)
    return splits_hash(row.data)


def _openings(connection: Connection, which: ColumnElement[bool]) -> tuple[Opening, ...]:
    table = OpeningTable
    rows = connection.execute(select(table.__table__).where(which).order_by(table.id)).all()
    scores = _scores_by_opening(connection, [row.id for row in rows])
    return tuple(
        Opening(
            id=row.id,
            study=row.study,
            study_deleted=row.study_id is None,
            trial=row.trial,
            who=row.who,
            why=row.why,
            fingerprint=row.fingerprint,
            samples=row.samples,
            opened_at=row.opened_at,
            scores=tuple(scores.get(row.id, ())),
            no_reference=row.no_reference,
        )
        for row in rows
    )


def _scores_by_opening(
    connection: Connection, openings: Sequence[int]
) -> dict[int, list[OpenedScore]]:
    table = OpenedScoreTable
    rows = connection.execute(
        # By role: the pick comes before the reference.
        select(table.__table__).where(table.opening_id.in_(openings)).order_by(table.role)
    ).all()
    found: dict[int, list[OpenedScore]] = {}
    for row in rows:
        score = OpenedScore(
            trial=row.trial,
            role=row.role,
            validation_score=row.validation_score,
            test_score=row.test_score,
            ci_low=row.ci_low,
            ci_high=row.ci_high,
            metrics={k: math.nan if v is None else v for k, v in row.metrics.items()},
        )
        found.setdefault(row.opening_id, []).append(score)
    return found
