"""The leaderboard of a stored study."""

from __future__ import annotations

from selector import selection
from selector.records import Leaderboard
from selector.store import Store


def rank(store: Store, name: str, *, metric: str | None = None) -> Leaderboard:
    """The candidates of study `name` in order of `metric`, by default the study's own.

    Raises InputError for an unknown study or a metric it has no record of.
    """
    study = store.require_study(name)
    return selection.build(
        study,
        store.trials(name),
        predictions=store.predictions(name),
        counts=store.counts(name),
        metric=metric,
    )
