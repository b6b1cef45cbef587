"""Ordered candidates and what was foretold of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from selector.records.aliases import Goal, Scalar, SplitName
from selector.records.finals import Finals, Opening, Verdict
from selector.records.history import HistoryAudit
from selector.records.results import TrialCounts
from selector.records.training import BackboneProxies

Cost = Literal["latency_ms", "parameters", "seconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One candidate in rank order. Scores are in the metric's natural sign."""

    rank: int
    trial: int
    backbone: str
    params: Mapping[str, Scalar]
    score: float
    ci_low: float
    ci_high: float
    tied_with_best: bool
    best_epoch: int
    epochs: int
    seconds: float
    parameters: int
    latency_ms: float
    metrics: Mapping[str, float]
    tie_group: int | None = None  # 1 is tied with the best; None without predictions
    probability_best: float = math.nan  # the share of resamples in which it leads
    behind: float = math.nan  # by how much it is worse than the best; 0 or more, with 95% interval
    behind_low: float = math.nan
    behind_high: float = math.nan
    checkpoint: str | None = None  # file below the artifacts folder; None where it was not kept
    pareto: tuple[Cost, ...] = ()  # the costs for which no other is as good and as cheap


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedScore:
    """The best score, and what to expect of it on new data: it was the best of several."""

    trial: int
    compared: int  # candidates
    resamples: int
    score: float
    expected_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAudit:
    """How well proxies foretold the best scores: rank correlations over backbones that have both.

    A correlation is None where too few backbones have a score, or all are equal.
    """

    metric: str  # the study's own
    goal: Goal
    proxies: tuple[BackboneProxies, ...]  # the most promising first
    best_scores: Mapping[str, float]  # of completed trials, by backbone
    knn: float | None
    probe: float | None
    parameters: float | None  # of simply taking the larger backbone for the better one


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Ordered candidates of one study on one metric."""

    study: str
    metric: str
    goal: Goal
    fingerprint: str
    counts: Mapping[SplitName, int]
    candidates: tuple[LeaderboardRow, ...]
    trials: TrialCounts
    finals: Finals | None = None
    verdict: Verdict | None = None
    openings: tuple[Opening, ...] = ()  # of the test split, by any study, the earliest first
    after_opening: tuple[int, ...] = ()  # the trials that began when somebody had looked
    pick: PickedScore | None = None
    cheapest: Mapping[Cost, int] = field(default_factory=dict)  # trials tied with the best
    history: HistoryAudit | None = None  # what was taken over from earlier studies
    proxies: ProxyAudit | None = None  # on the study's own metric, whatever the order is by
