"""The tables of champions, their history, and what studies took over from earlier ones."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, Double, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from selector.store.tables import OfStudy, Predictions, Table


class EditionTable(Table):
    """Which stored study searched the data of one time; by name, for it may not be made yet."""

    __tablename__ = "selector_editions"
    __table_args__ = (UniqueConstraint("study"),)

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(String(220))
    fingerprint: Mapped[str]
    began_at: Mapped[dt.datetime]


class ChampionTable(Table):
    """A bundle that was, or is, what a family of studies ships. Studies may go, champions stay."""

    __tablename__ = "selector_champions"
    __table_args__ = (UniqueConstraint("name", "bundle"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    study: Mapped[str]
    trial: Mapped[int]
    bundle: Mapped[str] = mapped_column(String(400))  # below the artifacts folder
    fingerprint: Mapped[str]
    trained_on: Mapped[bytes]  # marks of samples: compressed JSON
    made_at: Mapped[dt.datetime]


class PromotionTable(Table):
    """One decision about a champion; the last one of a name says which champion is the present."""

    __tablename__ = "selector_promotions"
    __table_args__ = (
        UniqueConstraint("name", "number"),
        CheckConstraint(
            "action IN ('first', 'swap', 'kept', 'undecided', 'by_hand', 'rollback')",
            name="action",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    number: Mapped[int]
    action: Mapped[str] = mapped_column(String(16))
    study: Mapped[str]
    trial: Mapped[int]
    reason: Mapped[str]
    who: Mapped[str]
    champion_id: Mapped[int] = mapped_column(ForeignKey("selector_champions.id"))
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("selector_champions.id"))
    challenge: Mapped[dict[str, Any] | None]
    at: Mapped[dt.datetime]


class ChampionPredictionTable(Predictions, Table):
    """What a champion said of the validation images of a study that did not train it."""

    __tablename__ = "selector_champion_predictions"

    study_id: Mapped[OfStudy] = mapped_column(primary_key=True)
    champion_id: Mapped[int] = mapped_column(
        ForeignKey("selector_champions.id", ondelete="CASCADE"), primary_key=True
    )


class RenewalTable(Table):
    """The lease of a renewal that goes on: of several at once, one does the work."""

    __tablename__ = "selector_renewals"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    token: Mapped[str] = mapped_column(String(32))
    until: Mapped[float] = mapped_column(Double)  # see leases.py for the clock
    holder: Mapped[dict[str, Any]]


class ReusedTable(Table):
    """A recipe of an earlier study among the first trials of another one, in their order."""

    __tablename__ = "selector_reused"

    study_id: Mapped[OfStudy] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str]
    trial: Mapped[int]
    score: Mapped[float]
    distance: Mapped[float | None]
    params: Mapped[dict[str, Any]]


class ImageStatisticsTable(Table):
    """What the images of a study look like."""

    __tablename__ = "selector_image_statistics"

    study_id: Mapped[OfStudy] = mapped_column(primary_key=True)
    statistics: Mapped[dict[str, Any]]
