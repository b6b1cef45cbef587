"""Whose checkpoints stay on disk, and how to get one back that did not."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from selector.records import Goal, StudyRow, TrialRow
from selector.selection.best import AnyTrial, order, references


def kept(
    trials: Iterable[AnyTrial], *, goal: Goal, best: int | None, protected: Collection[int] = ()
) -> frozenset[int]:
    """The numbers of the `best` so many candidates (None: of all) and of the `protected` ones."""
    ranked = _ranked(trials, goal=goal)
    known = {trial.number for trial in ranked}
    return frozenset(trial.number for trial in ranked[:best]) | (known & set(protected))


def finals_may_choose(trials: Sequence[AnyTrial], *, goal: Goal, top: int | None) -> frozenset[int]:
    """The numbers of the candidates that finals of `top` leaders would take now: their pick ships.

    The leaders are the first by score alone, for this is asked after every trial and ties are
    dear to find; the references enter whatever they score. Without finals (None) nobody is
    taken, and still the best and the references stay: the test split compares the two.
    """
    ranked = _ranked(trials, goal=goal)
    leaders = [trial.number for trial in ranked[: top or 1]]
    known = {trial.number for trial in ranked}
    return frozenset(leaders) | (known & set(references(trials)))


def _ranked(trials: Iterable[AnyTrial], *, goal: Goal) -> list[AnyTrial]:
    complete = [t for t in trials if t.state == "complete" and t.score is not None]
    return sorted(complete, key=lambda t: order(t, t.score or 0.0, goal=goal))


def not_kept(study: StudyRow, trial: TrialRow) -> str:
    """Why a candidate has no checkpoint, and the command that trains it again."""
    best = _get(study.spec, "keep").get("best")
    rule = f" (keep: {{best: {best}}})" if best else ""
    return (
        f"The checkpoint of trial {trial.number} of study '{study.name}' was not kept{rule}. "
        f"Train it again, with the same result: {again(study, trial)}"
    )


def again(study: StudyRow, trial: TrialRow) -> str:
    """The command that trains one candidate again, as a study of its own."""
    search = _get(study.spec, "search")
    own = _get(_get(study.spec, "backbones"), trial.backbone).get("search", {})
    # What the study file fixes needs no mention.
    start = {
        name: value
        for name, value in trial.params.items()
        if name == "backbone" or own.get(name, search.get(name)) != value
    }
    return (
        f"selector run FILE --set name={study.name}.again-{trial.number} --set budget.trials=1 "
        f"--set 'start_from=[{json.dumps(start)}]'"
    )


def _get(spec: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return spec.get(key) or {}
