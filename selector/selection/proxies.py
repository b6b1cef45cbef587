"""What was expected of backbones before training, and how it compares with what came out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from selector.records import (
    BackboneProxies,
    Goal,
    ProxyAudit,
    StudyRow,
    TrialRow,
)
from selector.selection.best import best_candidate

ENOUGH = 4  # backbones; the ranks of three agree perfectly by chance one time in six

Array = npt.NDArray[np.float64]


def preferred(
    backbones: Sequence[str], proxies: Iterable[BackboneProxies], *, goal: Goal
) -> tuple[str, ...]:
    """All `backbones`, best mean rank of both proxies first.

    Of equals the better probe comes first, then the earlier in `backbones`; those without proxies
    come last. None is left out.
    """
    known = {row.backbone: row for row in proxies}
    measured = [name for name in backbones if name in known]
    sign = -1.0 if goal == "maximize" else 1.0
    knn = sign * np.array([known[name].knn for name in measured])
    probe = sign * np.array([known[name].probe for name in measured])
    key = _ranks(knn) + _ranks(probe)
    order = np.lexsort((np.arange(len(measured)), probe, key))
    rest = (name for name in backbones if name not in known)
    return (*(measured[i] for i in order), *rest)


def audit(
    study: StudyRow, proxies: Sequence[BackboneProxies], trials: Sequence[TrialRow]
) -> ProxyAudit | None:
    """Proxies beside each backbone's best score of a completed trial; None without proxies.

    Correlations are Spearman's, over the backbones that have a score: 1 where the order is right.
    That of `parameters` takes the larger network for the better one. None with fewer than four
    backbones, or where all are equal.
    """
    if not proxies:
        return None
    goal = study.goal
    known = {row.backbone: row for row in proxies}
    best = {name: best_candidate(_of(name, trials), goal=goal) for name in known}
    best_scores = {name: t.score for name, t in best.items() if t and t.score is not None}
    compared = [known[name] for name in best_scores]
    scores = np.array(list(best_scores.values()), dtype=np.float64)
    sizes = np.array([row.parameters for row in compared], dtype=np.float64)
    return ProxyAudit(
        metric=study.metric,
        goal=goal,
        proxies=tuple(known[name] for name in preferred(list(known), proxies, goal=goal)),
        best_scores=best_scores,
        knn=_correlation(np.array([row.knn for row in compared]), scores),
        probe=_correlation(np.array([row.probe for row in compared]), scores),
        parameters=_correlation(sizes if goal == "maximize" else -sizes, scores),
    )


def spearman(one: Array, other: Array) -> float | None:
    """Spearman's rank correlation of two series, ties at their mean rank; None if one is flat."""
    a, b = (ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other)))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread else None


def _correlation(one: Array, scores: Array) -> float | None:
    return spearman(one, scores) if len(scores) >= ENOUGH else None


def _of(backbone: str, trials: Sequence[TrialRow]) -> list[TrialRow]:
    return [trial for trial in trials if trial.backbone == backbone]


def _ranks(values: Array) -> Array:
    """Ranks from 1, the smallest first; equals share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: Array = np.cumsum(counts) - (counts - 1) / 2
    return mean_rank[inverse]
