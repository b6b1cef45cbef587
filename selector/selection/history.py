"""Which recipes of earlier studies are worth another try, and whether they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from selector.records import Goal, HistoryAudit, Reused, StudyRow, TrialRow
from selector.selection.best import order

OWN = ("recipe", "startup", "sampler")  # origins of trials that owe nothing to other studies


def worth_another_try(
    trials: Sequence[TrialRow], *, goal: Goal, first: Sequence[int] = ()
) -> tuple[TrialRow, ...]:
    """The candidates of a study in the order in which to reuse them: those in `first`, then others.

    Of the others comes the best of every backbone, then the second best of every backbone, and so
    on: close neighbours of one good recipe teach little.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    ranked = sorted(complete, key=lambda trial: order(trial, trial.score or 0.0, goal=goal))
    rows = {trial.number: trial for trial in ranked}
    leading = [rows[number] for number in dict.fromkeys(first) if number in rows]
    seen: Counter[str] = Counter(trial.backbone for trial in leading)
    rest = []
    for place, trial in enumerate(ranked):
        if trial not in leading:
            rest.append((seen[trial.backbone], place, trial))
            seen[trial.backbone] += 1
    return (*leading, *(trial for _, _, trial in sorted(rest, key=lambda each: each[:2])))


def audit_history(
    study: StudyRow, reused: Sequence[Reused], trials: Sequence[TrialRow]
) -> HistoryAudit | None:
    """What came of the reused recipes, beside the study's own first trials; None without any.

    Compared are as many of its own first trials as reused ones that ended with a score, pruned
    ones with the best score they had.
    """
    if not reused:
        return None
    seeded = [trial for trial in trials if trial.origin == "history"]
    scored = [trial.score for trial in seeded if trial.score is not None]
    own = [t.score for t in trials if t.origin in OWN and t.score is not None]
    compared = min(len(scored), len(own))
    best = max if study.goal == "maximize" else min
    places = [*seeded, *[None] * len(reused)][: len(reused)]
    return HistoryAudit(
        metric=study.metric,
        goal=study.goal,
        reused=tuple(reused),
        trials=tuple(None if trial is None else trial.number for trial in places),
        scores=tuple(None if trial is None else trial.score for trial in places),
        compared=compared,
        best_reused=best(scored[:compared]) if compared else None,
        best_own=best(own[:compared]) if compared else None,
    )
