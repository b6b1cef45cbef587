"""Champion and challenger on the same validation samples: is the new one better beyond noise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import compress

import numpy as np
import numpy.typing as npt

from selector import metrics
from selector.records import Challenge, Floats, StudyRow
from selector.selection.certainty import positive_class, scores_of
from selector.selection.compare import paired_p_value
from selector.selection.intervals import gap_interval
from selector.selection.ties import tied_with_best

FEWEST = 30  # samples that a comparison is made on
SIGNIFICANT = 0.05

Mask = npt.NDArray[np.bool_]


def challenge(
    study: StudyRow,
    predictions: Mapping[int, Floats],
    champion: Floats,
    *,
    pick: int,
    unknown: Mask,
    seed: int = 0,
) -> Challenge:
    """The challenger `pick` of `study` against the champion, on the samples `unknown` to it.

    `predictions` has the validation log-probabilities (n_validation, n_classes) of all candidates,
    `champion` those of the champion in the same order, `unknown` is (n_validation,). The champion
    is entered among all candidates: that the leader was picked on these very samples is part of
    the noise that it must be beaten by (see `ties.tied_with_best`).
    """
    known = _only(study, unknown)
    labels, positive = known.data.validation_labels, positive_class(study)
    entrant = max(predictions) + 1
    entered = [(number, {number: predictions[number][unknown]}) for number in predictions]
    entered.append((entrant, {entrant: champion[unknown]}))
    scores, _ = scores_of(known, entered, metric=study.metric, seed=seed)
    observed = np.array(
        [
            metrics.compute(study.metric, labels, said[number], positive=positive)
            for number, said in entered
        ]
    )
    place = [number for number, _ in entered].index(pick)
    tied = tied_with_best(scores, observed, maximize=study.goal == "maximize")
    difference = float(observed[place] - observed[-1])
    gaps = scores[place] - scores[-1]
    low, high = gap_interval(gaps, difference)
    return Challenge(
        metric=study.metric,
        goal=study.goal,
        samples=len(labels),
        excluded=int((~unknown).sum()),
        champion_score=float(observed[-1]),
        challenger_score=float(observed[place]),
        difference=difference,
        low=low,
        high=high,
        p_value=paired_p_value(gaps, difference),
        tied=bool(tied[-1]),
    )


def is_better(found: Challenge) -> bool:
    """Whether the challenger replaces the champion.

    The champion must be out of the set of those that may be the best, and the challenger, which
    need not be the leader, must be better than it with p < 0.05.
    """
    return not found.tied and found.gain > 0 and found.p_value < SIGNIFICANT


def too_few(study: StudyRow, unknown: Mask) -> str | None:
    """Why champion and challenger cannot be compared on the samples `unknown`; None: they can."""
    labels, left = study.data.validation_labels, int(unknown.sum())
    out_of = f"{left} of {len(labels)} validation samples are new to the champion"
    if left < FEWEST:
        return f"{out_of}, and {FEWEST} are needed"
    lost = np.setdiff1d(np.unique(labels), np.unique(labels[unknown]))
    if len(lost):
        name = study.data.class_names[int(lost[0])]
        return f"{out_of}, and none of them is of class '{name}'"
    return None


def _only(study: StudyRow, kept: Mask) -> StudyRow:
    """The study as if its validation split had no other samples."""
    data = study.data
    ids = tuple(compress(data.validation_ids, kept))
    kept_data = replace(data, validation_ids=ids, validation_labels=data.validation_labels[kept])
    return replace(study, data=kept_data)
