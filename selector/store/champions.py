"""Queries on champions, their history and editions. Each takes an open connection."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import zlib
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from selector.errors import ConflictError
from selector.records import (
    Challenge,
    Champion,
    Decision,
    Edition,
    Floats,
    NewChampion,
    Promotion,
)
from selector.store.champion_tables import (
    ChampionPredictionTable,
    ChampionTable,
    EditionTable,
    PromotionTable,
)
from selector.store.encode import pack_predictions, unpack_predictions
from selector.store.renewals import require_turn
from selector.store.studies import study_id

# --- editions -----------------------------------------------------------------------------------


def list_editions(connection: Connection, name: str) -> tuple[Edition, ...]:
    """The editions of a family, the first one first."""
    table = EditionTable
    rows = connection.execute(
        select(table.name, table.number, table.study, table.fingerprint)
        .where(table.name == name)
        .order_by(table.number)
    )
    return tuple(Edition(**row._asdict()) for row in rows)


def add_edition(connection: Connection, edition: Edition) -> None:
    """Put an edition on record; its study may be made later."""
    values = {**dataclasses.asdict(edition), "began_at": dt.datetime.now(dt.UTC)}
    connection.execute(insert(EditionTable), values)


def family_of(connection: Connection, study: str) -> str:
    """The family that a stored study is an edition of; a study of no family is its own."""
    table = EditionTable
    found = connection.scalar(select(table.name).where(table.study == study))
    return study if found is None else found


# --- champions ----------------------------------------------------------------------------------


def list_champions(connection: Connection, name: str) -> tuple[Champion, ...]:
    """Every champion that a family ever had, the earliest first."""
    found = _champions(connection, name)
    return tuple(found[key] for key in sorted(found))


def list_promotions(connection: Connection, name: str) -> tuple[Promotion, ...]:
    """Every decision about the champions of a family, the earliest first."""
    champions = _champions(connection, name)
    table = PromotionTable
    rows = connection.execute(
        select(table.__table__).where(table.name == name).order_by(table.number)
    ).all()
    return tuple(_promotion(row, champions) for row in rows)


def list_families(connection: Connection) -> tuple[str, ...]:
    """The names of all families that have a champion."""
    return tuple(connection.scalars(select(ChampionTable.name).distinct().order_by("name")))


def trained_on(connection: Connection, champion: int) -> frozenset[str]:
    """The marks of every sample that a champion was trained on."""
    packed = connection.scalar(select(ChampionTable.trained_on).where(ChampionTable.id == champion))
    assert packed is not None
    return frozenset(json.loads(zlib.decompress(packed)))


def record_decision(
    connection: Connection,
    name: str,
    decision: Decision,
    *,
    after: int,
    champion: NewChampion | Champion,
    token: str | None,
) -> None:
    """Add a decision, and its champion where it is new, in one transaction.

    `after` is the number of the decision that it builds on: ConflictError where another one came
    in between, or where `token`, that of a renewal's lease, is no longer the holder's.
    """
    if token is not None:
        require_turn(connection, name, token)
    history = list_promotions(connection, name)
    previous = history[-1].champion.id if history else None
    if len(history) != after:
        raise _overtaken(name)
    values = {
        "name": name,
        "number": after + 1,
        "action": decision.action,
        "study": decision.study,
        "trial": decision.trial,
        "reason": decision.reason,
        "who": decision.who,
        "previous_id": previous,
        "challenge": _finite(decision.challenge),
        "at": dt.datetime.now(dt.UTC),
    }
    try:
        key = champion.id if isinstance(champion, Champion) else _add(connection, name, champion)
        connection.execute(insert(PromotionTable), {**values, "champion_id": key})
    except IntegrityError:
        raise _overtaken(name) from None


def _overtaken(name: str) -> ConflictError:
    return ConflictError(
        f"The champion of '{name}' was changed by somebody else in the meantime, so nothing was "
        f"decided here. See: selector champion {name} --history."
    )


def _add(connection: Connection, name: str, new: NewChampion) -> int:
    values = {
        "name": name,
        "study": new.study,
        "trial": new.trial,
        "bundle": new.bundle,
        "fingerprint": new.fingerprint,
        "trained_on": zlib.compress(json.dumps(sorted(new.trained_on)).encode()),
        "made_at": dt.datetime.now(dt.UTC),
    }
    row = connection.execute(insert(ChampionTable).values(values).returning(ChampionTable.id))
    return int(row.scalar_one())


def _champions(connection: Connection, name: str) -> dict[int, Champion]:
    table = ChampionTable
    rows = connection.execute(
        select(
            table.id,
            table.name,
            table.study,
            table.trial,
            table.bundle,
            table.fingerprint,
            table.made_at,
        ).where(table.name == name)
    )
    return {row.id: Champion(**row._asdict()) for row in rows}


def _promotion(row: Row[Any], champions: dict[int, Champion]) -> Promotion:
    return Promotion(
        number=row.number,
        name=row.name,
        decision=Decision(
            action=row.action,
            study=row.study,
            trial=row.trial,
            reason=row.reason,
            who=row.who,
            challenge=None if row.challenge is None else _challenge(row.challenge),
        ),
        champion=champions[row.champion_id],
        previous=None if row.previous_id is None else champions[row.previous_id],
        at=row.at,
    )


def _finite(challenge: Challenge | None) -> dict[str, Any] | None:
    """Numbers that are none as null, for PostgreSQL's JSON knows no NaN."""
    if challenge is None:
        return None
    plain = dataclasses.asdict(challenge)
    numbers = {k: v for k, v in plain.items() if isinstance(v, float) and not math.isfinite(v)}
    return {**plain, **dict.fromkeys(numbers)}


def _challenge(plain: dict[str, Any]) -> Challenge:
    known: dict[str, Any] = {key: math.nan if v is None else v for key, v in plain.items()}
    return Challenge(**known)


# --- what champions say of later data -----------------------------------------------------------


def record_champion_predictions(
    connection: Connection, study: str, champion: int, log_probabilities: Floats
) -> None:
    """Keep what a champion said of a study's validation images, (n_validation, n_classes)."""
    table = ChampionPredictionTable
    key = study_id(connection, study)
    connection.execute(delete(table).where(table.study_id == key, table.champion_id == champion))
    predictions = pack_predictions(log_probabilities)
    connection.execute(insert(table), {"study_id": key, "champion_id": champion, **predictions})


def champion_predictions(connection: Connection, study: str, champion: int) -> Floats | None:
    """What a champion said of a study's validation images; None where it was never asked."""
    table = ChampionPredictionTable
    row = connection.execute(
        select(table.__table__).where(
            table.study_id == study_id(connection, study), table.champion_id == champion
        )
    ).one_or_none()
    return None if row is None else unpack_predictions(row)
