"""What a stored study came to: its finalists in order, and the pick with its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from selector.records import Finals, Opening, StudyRow, TrialRow, Verdict
from selector.selection import finals
from selector.selection.seal import opened_at
from selector.store import Store


def standings(store: Store, study: StudyRow, trials: Sequence[TrialRow]) -> Finals | None:
    """The finalists of a study in order, on the study's own metric; None where none has run."""
    stored = store.finals(study.name)
    runs = store.final_runs(stored.name) if stored else ()
    if stored is None or not runs:
        return None
    settings = study.spec.get("finals")
    seed = study.spec.get("seed", 0)
    # Where the study file has switched the finals off since, what was trained is still shown.
    seeds = (
        settings["seeds"]
        if isinstance(settings, Mapping)
        else max(run.heat.seed for run in runs) - seed
    )
    return finals.standings(
        study,
        trials,
        finals.Evidence(
            runs=runs,
            predictions=store.predictions(stored.name),
            labels=store.require_study(stored.name).data.validation_labels,
            fold_sizes=stored.fold_sizes,
        ),
        seed=seed,
        seeds=seeds,
        decided=stored.decided_at is not None,
    )


def verdict(
    store: Store, study: StudyRow, trials: Sequence[TrialRow], openings: Sequence[Opening]
) -> Verdict | None:
    """The pick with its scores; None before the finals have ended or the test split was opened."""
    stored = store.finals(study.name)
    own = [each for each in openings if each.is_by(study.name)]
    told = [(each, score) for each in own for score in each.scores if score.role == "pick"]
    moment, decided_at = opened_at(openings), None if stored is None else stored.decided_at
    if stored is not None and stored.pick is not None:
        pick, reason = stored.pick, stored.reason or ""
    elif told:
        pick, reason = told[-1][0].trial, "chosen without finals"
    else:
        return None
    of_pick = [score.test_score for _, score in told if score.trial == pick]
    scores = {trial.number: trial.score for trial in trials if trial.score is not None}
    return Verdict(
        trial=pick,
        reason=reason,
        validation_score=scores.get(pick, math.nan),
        test_score=of_pick[-1] if of_pick else None,
        after_opening=moment is not None and decided_at is not None and decided_at > moment,
    )
