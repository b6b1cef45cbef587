"""Two candidates on the same samples: tests against plain ways, and against scipy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from selector import metrics
from selector.errors import ConflictError, InputError
from selector.selection.compare import Side, compare, mcnemar_p_value, paired_p_value


def _sides(study: Any) -> tuple[Side, Side]:
    data = study.study.data
    named = replace(
        study.study,
        data=replace(data, validation_ids=tuple(map(str, range(len(data.validation_labels))))),
    )
    a, b = (Side(named, trial, study.predictions[trial.number]) for trial in study.trials[:2])
    return a, b


@pytest.mark.parametrize("metric", ["f1_macro", "log_loss"])
def test_a_better_candidate_is_found_in_either_order(
    made_up: Callable[..., Any], metric: str
) -> None:
    a, b = _sides(made_up([0.9, 0.8], n=1000, metric=metric))
    forth, back = compare(a, b), compare(b, a)
    assert (forth.difference > 0) == (forth.goal == "maximize")
    assert forth.difference == pytest.approx(-back.difference)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-3)
    assert forth.low < forth.difference < forth.high
    assert forth.low * forth.high > 0
    assert forth.p_value < 0.01
    assert forth.a.score == a.trial.metrics[metric]


def test_equal_candidates_differ_significantly_one_time_in_twenty(
    made_up: Callable[..., Any],
) -> None:
    p = [
        compare(*_sides(made_up([0.8, 0.8], n=300, seed=seed, metric="accuracy"))).p_value
        for seed in range(200)
    ]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_counts_and_disagreements_are_those_of_the_samples(made_up: Callable[..., Any]) -> None:
    a, b = _sides(made_up([0.9, 0.7], n=200))
    found = compare(a, b)
    labels = a.study.data.validation_labels
    said = [metrics.predicted_classes(side.log_probabilities) for side in (a, b)]
    right_a, right_b = (each == labels for each in said)
    assert found.only_a_right == sum(right_a & ~right_b)
    assert found.only_b_right == sum(right_b & ~right_a)
    assert found.both_right + found.both_wrong + found.only_a_right + found.only_b_right == 200
    assert len(found.disagreements) == sum(said[0] != said[1])
    first = found.disagreements[0]
    index = int(first.sample)
    names = a.study.data.class_names
    assert first.label == names[labels[index]]
    assert (first.a, first.b) == (names[said[0][index]], names[said[1][index]])


def test_the_difference_of_each_class_is_that_of_its_f1(made_up: Callable[..., Any]) -> None:
    a, b = _sides(made_up([0.9, 0.6], n=400))
    found = compare(a, b)
    labels, names = a.study.data.validation_labels, a.study.data.class_names
    one, other = (metrics.per_class(labels, s.log_probabilities, names) for s in (a, b))
    for each, left, right in zip(found.classes, one, other, strict=True):
        assert (each.name, each.samples) == (left.name, left.support)
        assert (each.a, each.b) == pytest.approx((left.f1, right.f1))
        assert each.low < each.difference < each.high


def test_the_intervals_of_all_classes_hold_at_once_in_19_of_20_studies(
    made_up: Callable[..., Any],
) -> None:
    missed = alone = 0
    for seed in range(100):
        found = compare(*_sides(made_up([0.8, 0.8], n=400, classes=10, seed=seed)))
        missed += any(each.low > 0 or each.high < 0 for each in found.classes)
        sd = [(each.high - each.low) / 2 for each in found.classes]
        # What each class by itself would have: about two thirds of that width.
        alone += any(
            abs(each.difference) > 0.7 * s for each, s in zip(found.classes, sd, strict=True)
        )
    assert missed <= 10
    assert alone > 20  # the premise: by themselves, some class nearly always stands out


@pytest.mark.parametrize(("one", "other"), [(0, 0), (3, 9), (9, 3), (5, 5), (0, 6), (130, 171)])
def test_the_count_test_is_the_binomial_one(one: int, other: int) -> None:
    n = one + other
    expected = stats.binomtest(one, n).pvalue if n else 1.0
    assert mcnemar_p_value(one, other) == pytest.approx(expected)


def test_no_resample_reaching_the_gap_is_a_small_p_value_and_not_0() -> None:
    gaps = np.random.default_rng(0).normal(1, 0.01, 999)
    assert paired_p_value(gaps, 1.0) == pytest.approx(0.001)
    assert paired_p_value(gaps, 0.0) == 1.0


def test_two_faultless_candidates_are_not_told_apart(made_up: Callable[..., Any]) -> None:
    found = compare(*_sides(made_up([1.0, 1.0], n=40)))
    assert found.difference == 0
    assert found.low < 0 < found.high
    assert found.p_value > 0.5
    assert found.disagreements == ()
    assert all(math.isnan(each.low) and math.isnan(each.high) for each in found.classes)


def test_candidates_on_different_data_are_refused(made_up: Callable[..., Any]) -> None:
    a, b = _sides(made_up([0.9, 0.8]))
    changed = replace(b.study, name="other", data=replace(b.study.data, fingerprint="g"))
    with pytest.raises(ConflictError, match=r"'made-up' on f with 300.*'other' on g"):
        compare(a, replace(b, study=changed))
    labels = a.study.data.validation_labels
    resplit = replace(b.study, data=replace(b.study.data, validation_labels=labels[::-1]))
    with pytest.raises(ConflictError):
        compare(a, replace(b, study=resplit))


def test_studies_about_different_metrics_need_to_be_told_which(made_up: Callable[..., Any]) -> None:
    a, b = _sides(made_up([0.9, 0.8]))
    other = replace(b, study=replace(b.study, metric="accuracy", name="other"))
    with pytest.raises(InputError, match="--metric"):
        compare(a, other)
    assert compare(a, other, metric="mcc").metric == "mcc"
    with pytest.raises(InputError, match="positive_class"):
        compare(a, b, metric="f1_binary")
