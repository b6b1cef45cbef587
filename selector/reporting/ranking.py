"""The leaderboard of a stored study, and how well its proxies foretold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from selector import selection
from selector.events import Observer, RankingProgress
from selector.outcome import standings, verdict
from selector.records import HistoryAudit, Leaderboard, ProxyAudit, StudyRow, TrialRow
from selector.selection.history import audit_history
from selector.selection.seal import begun_after, opened_at
from selector.store import Store


def rank(
    store: Store, name: str, *, metric: str | None = None, observe: Observer | None = None
) -> Leaderboard:
    """The candidates of study `name` in order of `metric`, by default the study's own.

    `observe` is told how far it is. Raises InputError for an unknown study or a metric it has no
    record of.
    """
    study = store.require_study(name)
    trials = store.trials(name)
    board = selection.build(
        study,
        trials,
        predictions=store.predictions(name),
        counts=store.counts(name),
        metric=metric,
        progress=watched(observe),
    )
    openings = store.openings_of_data(name)
    return replace(
        board,
        history=history(store, study, trials),
        proxies=audit(store, study, trials),
        finals=standings(store, study, trials),
        verdict=verdict(store, study, trials, openings),
        openings=openings,
        after_opening=begun_after(trials, opened_at(openings)),
    )


def watched(observe: Observer | None) -> Callable[[int, int], None]:
    """What tells `observe` of candidates done; for nobody it tells nothing."""

    def progress(done: int, total: int) -> None:
        if observe is not None:
            observe(RankingProgress(done=done, total=total))

    return progress


def audit(store: Store, study: StudyRow, trials: Sequence[TrialRow]) -> ProxyAudit | None:
    """The study's proxies beside the best scores of its backbones; None where it has none."""
    return selection.audit(study, store.proxies(study.name), trials)


def history(store: Store, study: StudyRow, trials: Sequence[TrialRow]) -> HistoryAudit | None:
    """What the study took over from earlier ones and whether it helped; None without any."""
    return audit_history(study, store.history.reused(study.name), trials)
