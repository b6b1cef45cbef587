"""Which trials will come, whatever the running ones score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from selector.records import Scalar
from selector.search import samplers, space, startup
from selector.spec import StudySpec


def foreseen(study: optuna.Study, spec: StudySpec) -> Iterator[Mapping[str, Scalar]]:
    """Parameters of the trials to come, in the order of their numbers.

    Trials that are planned or were handed back come first. A sampler that looks at scores draws
    the rest later, so it ends there; for one that does not, there is no end. Nothing is written:
    the trials are asked for in a copy of the study.
    """
    trials = study.get_trials(deepcopy=False)
    if samplers.load(spec.sampler.name).blind:
        yield from _rehearsed(study, trials, spec)
        return
    for trial in trials:
        if trial.state == TrialState.WAITING:
            params = _planned(trial, spec)
            if params is not None:
                yield params


def _planned(trial: FrozenTrial, spec: StudySpec) -> Mapping[str, Scalar] | None:
    """All parameters of a trial that waits; None where the sampler is going to draw some."""
    known = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    try:
        return space.suggest(FixedTrial(known), spec)
    except ValueError:
        return None


def _rehearsed(
    study: optuna.Study, trials: Sequence[FrozenTrial], spec: StudySpec
) -> Iterator[Mapping[str, Scalar]]:
    """What a sampler draws that looks at no score, from a copy of the study in memory."""
    sampler = samplers.load(spec.sampler.name)
    copy = optuna.create_study(direction=study.direction)
    copy.add_trials(trials)
    # Quasi-random sequences count there how far they are.
    for key, value in study._storage.get_study_system_attrs(study._study_id).items():
        copy._storage.set_study_system_attr(copy._study_id, key, value)
    waiting = [trial.number for trial in trials if trial.state == TrialState.WAITING]
    number = len(trials)
    while True:
        next_number = waiting.pop(0) if waiting else number
        copy.sampler = sampler.build(
            spec,
            spec.sampler.options,
            seed=spec.seed,
            number=next_number,
            startup=startup.startup_trials(spec),
        )
        trial = copy.ask()
        number = max(number, trial.number + 1)
        yield space.suggest(trial, spec)
