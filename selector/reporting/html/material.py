"""Everything that the HTML report is made of, read from the store and the artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selector.records import (
    ClassScore,
    EpochRecord,
    Floats,
    Leaderboard,
    RunRow,
    StudyRow,
    TrialRow,
)
from selector.reporting.html.pictures import Captioned, Picture, read_alike, read_pictures
from selector.reporting.pick import pick_of
from selector.reporting.ranking import rank
from selector.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A stored study as its report needs it.

    `log_probabilities` (n_validation, n_classes), `class_scores` and `pictures` are of the pick,
    before finals of the leading candidate; None or empty before there is one.
    """

    study: StudyRow
    board: Leaderboard
    trials: tuple[TrialRow, ...]
    epochs: tuple[tuple[int, EpochRecord], ...]
    runs: tuple[RunRow, ...]
    class_scores: tuple[ClassScore, ...] = ()
    log_probabilities: Floats | None = None
    pictures: tuple[Picture, ...] = ()
    alike: tuple[tuple[Captioned, ...], ...] = ()  # near duplicates, in groups
    pictures_missing: str = ""  # why there are no pictures

    @property
    def winner(self) -> TrialRow | None:
        """The trial that is shown in detail: the pick, before finals the leader."""
        row = pick_of(self.board)
        if row is None:
            return None
        return next(trial for trial in self.trials if trial.number == row.trial)


def gather(
    store: Store,
    name: str,
    *,
    artifacts: Path,
    metric: str | None = None,
    pictures_missing: str = "",
) -> Material:
    """The material of study `name`; the pictures that were drawn for its pick are in `artifacts`.

    Raises InputError for an unknown study or a metric it has no record of.
    """
    study, board = store.require_study(name), rank(store, name, metric=metric)
    shown = pick_of(board)
    leader = None if shown is None else shown.trial
    known = store.predictions(name)
    pictures = read_pictures(artifacts, name, leader) if leader is not None else ()
    return Material(
        study=study,
        board=board,
        trials=store.trials(name),
        epochs=store.epochs(name),
        runs=store.runs(name),
        class_scores=() if leader is None else store.class_scores(name, leader),
        log_probabilities=known.get(leader) if leader is not None else None,
        pictures=pictures,
        alike=read_alike(artifacts, name),
        pictures_missing="" if pictures else pictures_missing,
    )
