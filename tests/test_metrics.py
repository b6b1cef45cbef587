"""Every metric against scikit-learn, on random and on degenerate predictions."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as reference

from selector import metrics
from selector.errors import InputError, UnknownNameError

TOLERANCE = 1e-9


def expected(name, labels, log_probabilities, positive=None):
    """The metric as scikit-learn has it."""
    n_classes = log_probabilities.shape[1]
    predicted = log_probabilities.argmax(axis=1)
    probabilities = np.exp(log_probabilities.astype(np.float64))
    every = np.arange(n_classes)
    kind, _, average = name.rpartition("_")
    if name == "accuracy":
        return reference.accuracy_score(labels, predicted)
    if name == "balanced_accuracy":
        return reference.balanced_accuracy_score(labels, predicted)
    if name == "mcc":
        return reference.matthews_corrcoef(labels, predicted)
    if name == "log_loss":
        return reference.log_loss(labels, probabilities, labels=every)
    if name == "auroc" and n_classes == 2:
        return reference.roc_auc_score(labels, probabilities[:, 1])
    if name == "auroc":
        return reference.roc_auc_score(labels, probabilities, multi_class="ovr", labels=every)
    score = getattr(reference, f"{kind}_score")
    if average == "binary":
        return score(labels == positive, predicted == positive, zero_division=0)
    return score(labels, predicted, labels=every, average=average, zero_division=0)


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)


@st.composite
def predictions(draw, with_every_class=False):
    """Labels (n,) and log probabilities (n, classes), with absent classes and ties among them."""
    n_classes = draw(st.integers(2, 5))
    n = draw(st.integers(n_classes, 30))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, n_classes - 1)))
    if with_every_class:
        labels[:n_classes] = np.arange(n_classes)
    # Few distinct values make equal scores likely.
    logits = draw(hnp.arrays(np.float64, (n, n_classes), elements=st.integers(-4, 4)))
    return labels, log_softmax(logits)


@pytest.mark.parametrize("name", [n for n in metrics.names() if n not in ("ece", "auroc")])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=predictions())
def test_metric_agrees_with_scikit_learn(name, data):
    labels, log_probabilities = data
    positive = log_probabilities.shape[1] - 1 if metrics.needs_positive(name) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = expected(name, labels, log_probabilities, positive)
    got = metrics.compute(name, labels, log_probabilities, positive=positive)
    tolerance = 1e-5 if name == "log_loss" else TOLERANCE
    assert got == pytest.approx(wanted, abs=tolerance)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=predictions(with_every_class=True))
def test_auroc_agrees_with_scikit_learn_where_every_class_occurs(data):
    labels, log_probabilities = data
    # scikit-learn insists that probabilities add up to 1 exactly, so it gets normalised ones.
    probabilities = np.exp(log_probabilities.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    log_p = np.log(probabilities)
    got = metrics.compute("auroc", labels, log_p)
    if log_p.shape[1] == 2:
        wanted = reference.roc_auc_score(labels, log_p[:, 1])
    else:
        wanted = np.mean(
            [reference.roc_auc_score(labels == c, log_p[:, c]) for c in range(log_p.shape[1])]
        )
    assert got == pytest.approx(wanted, abs=TOLERANCE)


def test_auroc_of_many_classes_is_scikit_learns_one_versus_rest_macro():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    log_p = np.log(rng.dirichlet(np.ones(4), 200))
    wanted = reference.roc_auc_score(labels, np.exp(log_p), multi_class="ovr", average="macro")
    assert metrics.compute("auroc", labels, log_p) == pytest.approx(wanted, abs=TOLERANCE)


def test_auroc_leaves_out_a_class_that_does_not_occur():
    labels = np.array([0, 1, 0, 1])
    log_p = log_softmax(np.array([[2.0, 0, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]]))
    areas = [reference.roc_auc_score(labels == c, log_p[:, c]) for c in (0, 1)]
    assert metrics.compute("auroc", labels, log_p) == pytest.approx(np.mean(areas))


def test_auroc_without_two_classes_is_not_a_number():
    log_p = log_softmax(np.array([[2.0, 0], [0, 2]]))
    assert np.isnan(metrics.compute("auroc", np.array([1, 1]), log_p))


def test_calibration_error_of_two_bins_is_the_weighted_gap():
    # Three samples at .95 of which two are right, one at .55 that is wrong.
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.05, 0.95], [0.55, 0.45]])
    labels = np.array([0, 1, 1, 1])
    wanted = 3 / 4 * abs(0.95 - 2 / 3) + 1 / 4 * 0.55
    assert metrics.compute("ece", labels, np.log(probabilities)) == pytest.approx(wanted)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=predictions())
def test_calibration_error_agrees_with_a_loop_over_the_bins(data):
    labels, log_probabilities = data
    probabilities = np.exp(log_probabilities.astype(np.float64))
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, 16)
    wanted = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (top > low) & (top <= high)
        if inside.any():
            wanted += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    assert metrics.compute("ece", labels, log_probabilities) == pytest.approx(wanted, abs=TOLERANCE)


def test_certain_and_right_predictions_have_no_calibration_error():
    with np.errstate(divide="ignore"):
        log_p = np.log(np.eye(3))
    assert metrics.compute("ece", np.arange(3), log_p) == 0.0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=predictions())
def test_confusion_and_class_scores_agree_with_scikit_learn(data):
    labels, log_probabilities = data
    n_classes = log_probabilities.shape[1]
    predicted = metrics.predicted_classes(log_probabilities)
    every = np.arange(n_classes)
    np.testing.assert_array_equal(
        metrics.confusion(labels, predicted, n_classes),
        reference.confusion_matrix(labels, predicted, labels=every),
    )
    wanted = reference.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    got = metrics.per_class(labels, log_probabilities, [f"class {c}" for c in every])
    table = [(s.precision, s.recall, s.f1, s.support) for s in got]
    np.testing.assert_allclose(np.array(table).T, np.array(wanted), atol=TOLERANCE)
    assert [s.name for s in got] == [f"class {c}" for c in every]


@pytest.mark.parametrize("name", [n for n in metrics.names() if metrics.is_count_based(n)])
@pytest.mark.parametrize("positive", [0, 1])
def test_many_confusion_matrices_score_as_one_by_one(name, positive):
    rng = np.random.default_rng(1)
    matrices = rng.integers(0, 5, (3, 4, 2, 2))
    matrices[0, 0] = [[7, 0], [0, 0]]
    matrices[0, 1] = 0
    got = metrics.from_confusion(name, matrices, positive=positive)
    assert got.shape == (3, 4)
    for index in np.ndindex(3, 4):
        one = metrics.from_confusion(name, matrices[index], positive=positive)
        assert float(one) == float(got[index])


@pytest.mark.parametrize("n_classes", [2, 4])
def test_all_metrics_are_those_computed_alone(n_classes):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, n_classes, 50)
    log_p = log_softmax(rng.normal(size=(50, n_classes)))
    everything = metrics.compute_all(labels, log_p, positive=0)
    assert set(everything) == set(metrics.names())
    for name, value in everything.items():
        assert value == metrics.compute(name, labels, log_p, positive=0), name


@pytest.mark.parametrize("n_classes", [2, 3])
def test_all_metrics_leave_out_the_binary_ones_where_no_class_is_named(n_classes):
    labels = np.arange(n_classes)
    log_p = log_softmax(np.eye(n_classes))
    everything = metrics.compute_all(labels, log_p)
    assert not [name for name in everything if metrics.needs_positive(name)]
    assert "f1_macro" in everything


def test_the_positive_class_chooses_the_side_of_the_binary_metrics():
    labels = np.array([0, 0, 0, 1])
    log_p = log_softmax(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]))
    assert metrics.compute("recall_binary", labels, log_p, positive=0) == pytest.approx(2 / 3)
    assert metrics.compute("recall_binary", labels, log_p, positive=1) == 1.0


def test_goals_and_the_default_are_as_documented():
    assert metrics.names()[0] == metrics.DEFAULT == "f1_macro"
    assert {n for n in metrics.names() if metrics.goal_of(n) == "minimize"} == {"log_loss", "ece"}


def test_unknown_metric_names_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Unknown metric 'f1_macroo'.*'f1_macro'.*mcc"):
        metrics.goal_of("f1_macroo")


def test_binary_metric_is_the_score_of_its_class_against_the_rest():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 80)
    log_p = log_softmax(rng.normal(size=(80, 4)))
    scores = metrics.per_class(labels, log_p, "abcd")
    for positive, score in enumerate(scores):
        assert metrics.compute("f1_binary", labels, log_p, positive=positive) == score.f1


@pytest.mark.parametrize("positive", [-1, 3])
def test_binary_metric_of_a_class_that_does_not_exist_is_refused(positive):
    with pytest.raises(InputError, match=r"outside 0\.\.2"):
        metrics.compute("f1_binary", np.arange(3), log_softmax(np.eye(3)), positive=positive)


def test_binary_metric_without_a_positive_class_is_refused():
    with pytest.raises(InputError, match="positive_class"):
        metrics.compute("f1_binary", np.arange(2), log_softmax(np.eye(2)))


def test_probability_metric_of_counts_is_refused():
    with pytest.raises(InputError, match="needs probabilities"):
        metrics.from_confusion("auroc", np.eye(2))


def test_no_predictions_are_refused():
    with pytest.raises(InputError, match="empty"):
        metrics.compute("accuracy", np.zeros(0, np.int64), np.zeros((0, 3), np.float32))


def test_labels_and_predictions_of_different_length_are_a_bug():
    with pytest.raises(ValueError, match="do not match"):
        metrics.compute("accuracy", np.zeros(3, np.int64), np.zeros((2, 3), np.float32))
