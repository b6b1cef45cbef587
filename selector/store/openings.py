"""Queries on the openings of test splits. Each takes an open connection."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from selector.records import DataSummary, OpenedScore, Opening, OpeningStart
from selector.store.studies import find_study, study_id
from selector.store.tables import OpenedScoreTable, OpeningTable, StudyTable


def begin_opening(connection: Connection, start: OpeningStart) -> int:
    """Record that the test split is about to be read; the opening's key."""
    values = {
        "study_id": study_id(connection, start.study),
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
    """Every look at the test split of a study, the earliest first."""
    table = OpeningTable
    rows = connection.execute(
        select(table.__table__)
        .where(table.study_id == study_id(connection, study))
        .order_by(table.id)
    ).all()
    scores = _scores_by_opening(connection, [row.id for row in rows])
    return tuple(
        Opening(
            id=row.id,
            study=study,
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


def list_openings_of_data(connection: Connection, study: str) -> tuple[Opening, ...]:
    """Every look at the test split of a study by it or another one, the earliest first.

    Others count where they have the same images in the same splits, whatever they are called.
    """
    openings = list(list_openings(connection, study))
    own = find_study(connection, study)
    for name in _others_that_looked(connection, study):
        other = find_study(connection, name)
        if own is not None and other is not None and _same_splits(own.data, other.data):
            openings += list_openings(connection, name)
    return tuple(sorted(openings, key=lambda opening: opening.id))


def _others_that_looked(connection: Connection, study: str) -> Sequence[str]:
    """The other studies on the same images with an opening; to compare splits costs more."""
    fingerprint = select(StudyTable.fingerprint).where(StudyTable.name == study).scalar_subquery()
    return connection.scalars(
        select(StudyTable.name)
        .join(OpeningTable, OpeningTable.study_id == StudyTable.id)
        .where(StudyTable.fingerprint == fingerprint, StudyTable.name != study)
        .distinct()
    ).all()


def _same_splits(one: DataSummary, other: DataSummary) -> bool:
    """Whether the test splits are the same: what is drawn follows from images, shares and seed.

    The seed shows in who validates, the shares in how many of each class lie where.
    """
    return (
        one.fingerprint == other.fingerprint
        and one.validation_ids == other.validation_ids
        and one.class_counts == other.class_counts
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
