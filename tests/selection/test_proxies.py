"""The order that proxies give, and how well it foretold the results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from selector.records import BackboneProxies, Goal, TrialRow
from selector.selection.proxies import audit, preferred, spearman


def row(backbone: str, knn: float, probe: float, parameters: int = 1) -> BackboneProxies:
    return BackboneProxies(
        backbone=backbone, image_size=96, knn=knn, probe=probe, parameters=parameters, seconds=1.0
    )


def trial(number: int, backbone: str, score: float, state: Any = "complete") -> TrialRow:
    return TrialRow(
        number=number,
        state=state,
        backbone=backbone,
        params={},
        origin="sampler",
        seed=0,
        score=score,
        best_epoch=1,
        epochs=1,
        seconds=1.0,
        failure_cause=None,
        failure_message=None,
        parameters=1,
        trained_parameters=1,
        latency_ms=1.0,
        checkpoint=None,
    )


@pytest.mark.parametrize(
    ("goal", "order"), [("maximize", ("b", "c", "a", "d")), ("minimize", ("a", "c", "b", "d"))]
)
def test_the_best_mean_rank_comes_first_and_nothing_is_left_out(
    goal: Goal, order: tuple[str, ...]
) -> None:
    rows = [row("a", 0.1, 0.1), row("b", 0.9, 0.8), row("c", 0.5, 0.5)]
    assert preferred("abcd", rows, goal=goal)[-1] == "d"
    assert preferred("dabc", rows, goal=goal) == order
    assert preferred("dabc", rows[::-1], goal=goal) == order


def test_of_equal_mean_ranks_the_better_probe_then_the_earlier_comes_first() -> None:
    assert preferred("ab", [row("a", 0.9, 0.1), row("b", 0.1, 0.9)], goal="maximize") == ("b", "a")
    assert preferred("ba", [row("a", 0.5, 0.5), row("b", 0.5, 0.5)], goal="maximize") == ("b", "a")
    assert preferred("ba", [], goal="maximize") == ("b", "a")


@pytest.mark.parametrize("seed", range(5))
def test_spearman_is_scipys_also_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 5, (2, 12)).astype(float)
    assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)


def test_a_flat_series_has_no_rank_correlation() -> None:
    assert spearman(np.ones(5), np.arange(5.0)) is None


@pytest.mark.parametrize(("goal", "metric"), [("maximize", "f1_macro"), ("minimize", "log_loss")])
def test_a_right_order_correlates_perfectly_whatever_the_goal(
    goal: Goal, metric: str, results: Any
) -> None:
    study = results.study(metric=metric)
    sign = 1 if goal == "maximize" else -1
    rows = [row(name, sign * i, sign * i, parameters=10 - i) for i, name in enumerate("abcd")]
    trials = [trial(i, name, sign * i) for i, name in enumerate("abcd")]
    trials += [trial(9, "a", sign * 50.0, "pruned"), trial(10, "a", -sign * 50.0)]
    found = audit(study, rows, trials)
    assert found is not None
    assert (found.metric, found.goal) == (metric, goal)
    assert found.knn == found.probe == pytest.approx(1)
    assert found.parameters == pytest.approx(-1)
    assert [each.backbone for each in found.proxies] == ["d", "c", "b", "a"]
    assert found.best_scores == {name: sign * i for i, name in enumerate("abcd")}


def test_three_backbones_are_too_few(results: Any) -> None:
    rows = [row(name, i, i) for i, name in enumerate("abcd")]
    found = audit(results.study(), rows, [trial(i, name, i) for i, name in enumerate("abc")])
    assert found is not None
    assert found.knn is found.probe is found.parameters is None
    assert found.best_scores == {"a": 0, "b": 1, "c": 2}


def test_without_proxies_there_is_nothing_to_audit(results: Any) -> None:
    assert audit(results.study(), [], [trial(0, "a", 1.0)]) is None
