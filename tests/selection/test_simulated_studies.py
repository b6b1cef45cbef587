"""Two hundred simulated studies: equals are called equal, and a better candidate is found.

Candidates either err independently of each other, or mostly on the same difficult samples, as
networks trained on the same images do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from selector.records import Ints
from selector.selection import resample
from selector.selection.ties import tied_with_best
from selector.selection.winner import expected_after_selection

STUDIES, CLASSES, RESAMPLES = 200, 4, 1000
ALIKE = pytest.mark.parametrize("shared", [0.0, 0.6], ids=["independent", "same difficult samples"])

Scores = npt.NDArray[np.float64]


@cache
def split(samples: int) -> tuple[Ints, resample.Resamples]:
    """The labels, and one set of resamples for all studies."""
    labels = np.arange(samples, dtype=np.int64) % CLASSES
    return labels, resample.draw(labels, RESAMPLES, seed=0)


def study(
    accuracies: Sequence[float], generator: np.random.Generator, *, samples: int, shared: float
) -> tuple[Scores, Scores]:
    """The macro F1 of each candidate on each resample and on the data.

    A candidate errs on a sample whose difficulty for it exceeds a bound; `shared` is the share of
    the difficulty's variance that all candidates have in common.
    """
    labels, weights = split(samples)
    common, own = generator.normal(size=samples), generator.normal(size=(len(accuracies), samples))
    difficulty = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    once = resample.as_it_is(samples)
    rows, observed = [], []
    for accuracy, of_one in zip(accuracies, difficulty, strict=True):
        wrong = of_one > STANDARD_NORMAL[accuracy]
        other = (labels + generator.integers(1, CLASSES, samples)) % CLASSES
        log_p = np.eye(CLASSES, dtype=np.float32)[np.where(wrong, other, labels)]
        rows.append(resample.scores("f1_macro", labels, log_p, weights=weights))
        observed.append(resample.scores("f1_macro", labels, log_p, weights=once)[0])
    return np.stack(rows), np.array(observed)


# The standard normal distribution's quantiles.
STANDARD_NORMAL = {0.8: 0.8416212335729143, 0.85: 1.0364333894937898}


@ALIKE
def test_eight_equal_candidates_are_all_tied_at_the_nominal_rate(shared: float) -> None:
    generator = np.random.default_rng(11)
    all_tied, naive, corrected = 0, [], []
    for _ in range(STUDIES):
        scores, observed = study([0.8] * 8, generator, samples=1000, shared=shared)
        all_tied += bool(tied_with_best(scores, observed, maximize=True).all())
        # With equal errors in all classes the true macro F1 is the accuracy.
        naive.append(observed.max() - 0.8)
        corrected.append(expected_after_selection(scores, observed, maximize=True) - 0.8)
    assert all_tied >= 0.93 * STUDIES
    # The best of eight looks better than it is; what is expected of it does not.
    assert np.mean(naive) > 0.01
    assert abs(np.mean(corrected)) < 0.003


@pytest.mark.parametrize(
    ("sizes", "least"),
    [([5] * 20, 0.92), ([15] * 4, 0.92), ([3, 3, 100, 200], 0.88)],
    ids=["twenty classes of five", "four of fifteen", "two of three beside large ones"],
)
def test_equals_are_tied_where_classes_are_small(sizes: list[int], least: float) -> None:
    generator = np.random.default_rng(13)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    drawn, once = resample.draw(labels, RESAMPLES, seed=0), resample.as_it_is(len(labels))
    shape = (len(labels), len(sizes))
    all_tied = 0
    for _ in range(STUDIES):
        common, rows, observed = generator.normal(size=shape), [], []
        for _ in range(8):
            # Six tenths of the variance of every class's evidence are the same for all candidates.
            logits = np.sqrt(0.6) * common + np.sqrt(0.4) * generator.normal(size=shape)
            logits[np.arange(len(labels)), labels] += 1.5
            rows.append(resample.scores("f1_macro", labels, logits, weights=drawn))
            observed.append(resample.scores("f1_macro", labels, logits, weights=once)[0])
        all_tied += bool(tied_with_best(np.stack(rows), np.array(observed), maximize=True).all())
    assert all_tied >= least * STUDIES


@ALIKE
def test_a_candidate_better_by_five_points_is_found(shared: float) -> None:
    generator = np.random.default_rng(12)
    found = 0
    for _ in range(STUDIES):
        scores, observed = study([0.85] + [0.8] * 7, generator, samples=2000, shared=shared)
        tied = tied_with_best(scores, observed, maximize=True)
        found += tied.tolist() == [True] + [False] * 7
    assert found >= 0.9 * STUDIES
