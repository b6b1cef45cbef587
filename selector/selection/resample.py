"""Bootstrap resamples of the validation split, and a metric's value on each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from selector import metrics
from selector.records import Floats, Ints
from selector.selection import resampled
from selector.selection.resampled import Resamples as Resamples  # part of what this offers

Array = npt.NDArray[np.float64]

RESAMPLES = 2000
# The area under a curve needs every class's order of all samples: a hundred times the work.
SLOW_RESAMPLES = 500
_AT_ONCE = 256  # resamples; more of them would not fit into a core's own cache
_LARGEST = 1 << 30  # bytes of all resamples


def draw(labels: Ints, resamples: int, *, seed: int | Sequence[int]) -> Resamples:
    """So many resamples of the samples with these labels (n,).

    Of the m samples of a class m - 1 are drawn with replacement, each of which counts m / (m - 1):
    every resample has the class counts of the data, and a mean over a class varies as much as it
    would over new data (Rao & Wu, JASA 83, 1988). Drawing m would give (m - 1) / m of that
    variance, and ties between equals would break too often where classes are small. All candidates
    are scored on the same resamples, which makes their differences paired.
    """
    generator = np.random.default_rng(seed)
    counts = np.zeros((len(labels), resamples), dtype=np.uint8)
    scale = np.ones(len(labels))
    for class_index in np.unique(labels):
        members = np.flatnonzero(labels == class_index)
        times = max(1, len(members) - 1)  # a class of one has nothing to vary
        drawn = generator.integers(0, len(members), (times, resamples))
        cells = (drawn * resamples + np.arange(resamples)).ravel()
        found = np.bincount(cells, minlength=len(members) * resamples)
        counts[members] = found.reshape(len(members), resamples)
        scale[members] = len(members) / times
    return Resamples(counts, scale)


def as_it_is(samples: int) -> Resamples:
    """One resample: the data itself."""
    return Resamples(np.ones((samples, 1), dtype=np.uint8), np.ones(samples))


def resample_count(metric: str, samples: int) -> int:
    """How many resamples of so many samples a report affords for `metric`."""
    wanted = SLOW_RESAMPLES if metric == "auroc" else RESAMPLES
    return max(SLOW_RESAMPLES, min(wanted, _LARGEST // max(1, samples)))


def scores(
    metric: str,
    labels: Ints,
    log_probabilities: Floats,
    *,
    weights: Resamples,
    positive: int | None = None,
) -> Array:
    """The metric on each resample, (resamples,).

    `labels` is (n,), `log_probabilities` (n, classes), `weights` as from `draw`.
    """
    prepared = resampled.prepare(metric, labels, log_probabilities, positive=positive)
    parts = (
        prepared(weights.some(start, start + _AT_ONCE))
        for start in range(0, weights.counts.shape[1], _AT_ONCE)
    )
    return np.concatenate(list(parts))


def scores_in_doubt(
    metric: str,
    labels: Ints,
    log_probabilities: Floats,
    *,
    resamples: int,
    seed: int | Sequence[int],
    positive: int | None = None,
) -> Array:
    """The metric on resamples of the data with one more sample, which went the other way.

    For a candidate whose resamples are all alike, such as one without any error: the plain
    bootstrap would call it certain. One error among n drawn samples leaves 3 of n wrong at the end
    of the 95% interval, which is the rule of three for no error among n (Hanley & Lippman-Hand,
    JAMA 249, 1983). Of all classes the sample has the one where it moves the metric the most.
    """

    def change(case: tuple[Ints, Floats]) -> float:
        return abs(metrics.compute(metric, *case, positive=positive) - observed)

    observed = metrics.compute(metric, labels, log_probabilities, positive=positive)
    against = positive if metrics.needs_positive(metric) else None
    more_labels, more_log_p = max(_one_more(labels, log_probabilities, against), key=change)
    weights = draw(more_labels, resamples, seed=seed)
    return scores(metric, more_labels, more_log_p, weights=weights, positive=positive)


def _one_more(
    labels: Ints, log_probabilities: Floats, against: int | None
) -> Iterator[tuple[Ints, Floats]]:
    """The data with one more sample of each class in turn, as sure as one of its class is.

    Its prediction has right and wrong exchanged; `against` is the class that a sample of another
    one is mistaken for, by default the most probable.
    """
    for label in np.unique(labels):
        row = log_probabilities[labels == label][0]
        others = np.where(np.arange(len(row)) == label, -np.inf, row)
        other = int(others.argmax()) if against in (None, label) else against
        changed = row.copy()
        changed[[label, other]] = row[[other, label]]
        yield np.append(labels, label), np.vstack([log_probabilities, changed])
