"""Parts of the store under a name of their own: `store.champions` and `store.history`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection

from selector.records import (
    Champion,
    Decision,
    Edition,
    Floats,
    ImageStatistics,
    Lease,
    NewChampion,
    Promotion,
    Reused,
)
from selector.store import champions, history, renewals
from selector.store.renewals import Holder

Transaction = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Champions:
    """Champions, the decisions about them, editions, and whose turn it is to renew.

    `name` is that of a family: of a study file, whatever its editions are called.
    """

    reading: Transaction
    writing: Transaction

    def present(self, name: str) -> Champion | None:
        """What is shipped now; None before the first promotion."""
        decisions = self.decisions(name)
        return decisions[-1].champion if decisions else None

    def decisions(self, name: str) -> tuple[Promotion, ...]:
        """Every decision about the champions of a family, the earliest first."""
        with self.reading() as connection:
            return champions.list_promotions(connection, name)

    def all_of(self, name: str) -> tuple[Champion, ...]:
        """Every champion that a family ever had, the earliest first."""
        with self.reading() as connection:
            return champions.list_champions(connection, name)

    def families(self) -> tuple[str, ...]:
        """The names of all families that have a champion."""
        with self.reading() as connection:
            return champions.list_families(connection)

    def trained_on(self, champion: Champion) -> frozenset[str]:
        """The marks of every sample that a champion was trained on."""
        with self.reading() as connection:
            return champions.trained_on(connection, champion.id)

    def decide(
        self,
        name: str,
        decision: Decision,
        *,
        after: int,
        champion: NewChampion | Champion,
        token: str | None = None,
    ) -> Promotion:
        """Put a decision on record, with its champion where it is new: both, or neither.

        `after` is the number of the decision that it builds on: ConflictError where another one
        came in between, or where `token`, that of a renewal's lease, is another's by now.
        """
        with self.writing() as connection:
            champions.record_decision(
                connection, name, decision, after=after, champion=champion, token=token
            )
            return champions.list_promotions(connection, name)[-1]

    def editions(self, name: str) -> tuple[Edition, ...]:
        """The editions of a family, the first one first."""
        with self.reading() as connection:
            return champions.list_editions(connection, name)

    def add_edition(self, edition: Edition) -> None:
        """Put an edition on record; its study may be made later."""
        with self.writing() as connection:
            champions.add_edition(connection, edition)

    def family_of(self, study: str) -> str:
        """The family that a stored study is an edition of; a study of none is its own."""
        with self.reading() as connection:
            return champions.family_of(connection, study)

    def record_predictions(self, study: str, champion: Champion, log_probabilities: Floats) -> None:
        """Keep what a champion said of a study's validation images, (n_validation, n_classes)."""
        with self.writing() as connection:
            champions.record_champion_predictions(connection, study, champion.id, log_probabilities)

    def predictions(self, study: str, champion: Champion) -> Floats | None:
        """What a champion said of a study's validation images; None where it was never asked."""
        with self.reading() as connection:
            return champions.champion_predictions(connection, study, champion.id)

    def take_turn(
        self, name: str, lease: Lease, holder: Holder, *, gone: Holder | None = None
    ) -> Holder | None:
        """Take the lease of a renewal; gives who holds it where it is not free.

        A lease that is over is free, and so is that of the holder `gone`, whose process has ended.
        """
        with self.writing() as connection:
            return renewals.take_turn(connection, name, lease, holder, gone=gone)

    def renew_turn(self, name: str, lease: Lease) -> bool:
        """Make the lease of a renewal last its full time from now; False where it was lost."""
        with self.writing() as connection:
            return renewals.renew_turn(connection, name, lease)

    def end_turn(self, name: str, lease: Lease) -> None:
        """Give the lease of a renewal back."""
        with self.writing() as connection:
            renewals.end_turn(connection, name, lease)


@dataclass(frozen=True, slots=True)
class History:
    """What studies took over from earlier ones, and what their images look like."""

    reading: Transaction
    writing: Transaction

    def record_reused(self, study: str, reused: Sequence[Reused]) -> None:
        """Record what a study takes over; the first record stays, for the plan follows it."""
        with self.writing() as connection:
            history.record_reused(connection, study, reused)

    def reused(self, study: str) -> tuple[Reused, ...]:
        """What a study took over, in the order in which it is tried."""
        with self.reading() as connection:
            return history.list_reused(connection, study)

    def record_statistics(self, study: str, statistics: ImageStatistics) -> None:
        """Record what the images of a study look like; what was recorded first stays."""
        with self.writing() as connection:
            history.record_statistics(connection, study, statistics)

    def statistics(self, study: str) -> ImageStatistics | None:
        """What the images of a study look like; None where nobody has looked."""
        with self.reading() as connection:
            return history.find_statistics(connection, study)
