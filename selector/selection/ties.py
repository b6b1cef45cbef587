"""Which candidates cannot be told from the leader on this validation split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector.records import Ints
from selector.selection.intervals import LEVEL
from selector.selection.resample import Array

_NO_ERROR = 1e-7  # a standard error no larger than rounding
_NO_GAP = 1e-6


def tied_with_best(scores: Array, observed: Array, *, maximize: bool) -> npt.NDArray[np.bool_]:
    """True for each candidate whose gap to the leader may be chance, the leader included.

    `scores` is (candidates, resamples) on shared resamples, `observed` (candidates,) on the data
    itself. The tied ones are a model confidence set (Hansen, Lunde & Nason, Econometrica 79,
    2011): as long as chance explains the largest gap to the leader among those that are left, none
    goes; otherwise all go whose gap is larger than that, and the rest is looked at again. Of truly
    equal best candidates all stay in 95% of studies.

    Multiple comparisons with the best (Hsu, 1984) would only promise that each of them stays in
    95%: of eight equals all stayed in two thirds of simulated studies.
    """
    return _confidence_set(*_in_better_direction(scores, observed, maximize=maximize))


def tie_groups(scores: Array, observed: Array, *, maximize: bool) -> Ints:
    """The group of each candidate, (candidates,), from 1: those tied with the best.

    Each further group holds those tied with the best of the candidates that are left.
    """
    errors, values = _in_better_direction(scores, observed, maximize=maximize)
    groups = np.zeros(len(values), dtype=np.int64)
    left = np.arange(len(values))
    while len(left):
        together = _confidence_set(errors[left], values[left])
        groups[left[together]] = groups.max() + 1
        left = left[~together]
    return groups


def _in_better_direction(
    scores: Array, observed: Array, *, maximize: bool
) -> tuple[npt.NDArray[np.float32], Array]:
    """What each resample adds to each score, and the scores, both with more being better."""
    sign = 1.0 if maximize else -1.0
    errors = sign * (scores - scores.mean(axis=1, keepdims=True))
    return errors.astype(np.float32), sign * observed


def _confidence_set(errors: npt.NDArray[np.float32], values: Array) -> npt.NDArray[np.bool_]:
    leader = int(np.argmax(values))
    standard_errors = _standard_errors(errors)
    gaps = _in_standard_errors(values[leader] - values, standard_errors[leader])
    left = np.arange(len(values))
    while True:
        within = np.ix_(left, left)
        bound = _largest_gap_by_chance(errors[left], standard_errors[within])
        staying = left[gaps[left] <= bound]
        if len(staying) == len(left):
            break
        left = staying
    tied = np.zeros(len(values), dtype=bool)
    tied[left] = True
    return tied


def _largest_gap_by_chance(errors: npt.NDArray[np.float32], standard_errors: Array) -> float:
    """What the largest gap to a resample's own leader reaches in 95% of resamples.

    The leader is looked for anew in every resample, for the real one was picked as well.
    """
    leaders = errors.argmax(axis=0)
    ahead = np.take_along_axis(errors, leaders[None, :], axis=0) - errors
    gaps = _in_standard_errors(ahead, standard_errors[:, leaders])
    return float(np.quantile(gaps.max(axis=0), LEVEL))


def _standard_errors(errors: npt.NDArray[np.float32]) -> Array:
    """The standard deviation of the difference of each two candidates, (candidates, candidates)."""
    # In double precision: of two candidates that are nearly the same, little is left over.
    precise = errors.astype(np.float64)
    products = precise @ precise.T / errors.shape[1]
    variances = np.diag(products)
    squares = variances[:, None] + variances - 2 * products
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)), dtype=np.float64)


def _in_standard_errors(gaps: npt.NDArray[np.floating], standard_errors: Array) -> Array:
    """Gaps in units of their standard errors; no gap is 0 whatever its error.

    A gap whose error is nil, as between candidates that differ in no resample but do on the data,
    is infinite.
    """
    certain = np.where(np.abs(gaps) > _NO_GAP, np.inf, 0.0)
    sure = standard_errors <= _NO_ERROR
    return np.where(sure, certain, gaps / np.where(sure, 1.0, standard_errors))
