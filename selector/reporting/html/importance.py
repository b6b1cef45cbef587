"""Which hyperparameters mattered, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from selector.records import Goal, Scalar, TrialRow

ENOUGH = 20  # completed trials; with fewer the ranks are mostly chance
RESAMPLES = 40
_SEED = 0


def importances(
    trials: Sequence[TrialRow], *, goal: Goal, logarithmic: frozenset[str]
) -> Mapping[str, tuple[float, float, float]]:
    """Importance of each searched parameter as (value, low, high), the largest first.

    PED-ANOVA (Watanabe et al. 2023) as Optuna has it: the share each parameter has in what sets
    the best trials apart. `low` and `high` are the 5% and 95% points over resampled trials.
    Empty with fewer than `ENOUGH` completed trials.
    """
    complete = [t for t in trials if t.state == "complete" and t.score is not None]
    names = searched(complete)
    if len(complete) < ENOUGH or not names:
        return {}
    params = [{name: trial.params[name] for name in names} for trial in complete]
    scores = [float(trial.score or 0.0) for trial in complete]
    distributions = {
        name: _distribution([p[name] for p in params], name in logarithmic) for name in names
    }
    value = _evaluate(params, scores, distributions, goal)
    rng = np.random.default_rng(_SEED)
    drawn: list[Mapping[str, float]] = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(complete), len(complete))
        drawn.append(
            _evaluate([params[i] for i in chosen], [scores[i] for i in chosen], distributions, goal)
        )
    found = {}
    for name in sorted(names, key=lambda n: -value.get(n, 0.0)):
        low, high = np.quantile([one.get(name, 0.0) for one in drawn], [0.05, 0.95])
        middle = value.get(name, 0.0)
        found[name] = (middle, min(middle, float(low)), max(middle, float(high)))
    return found


def searched(trials: Sequence[TrialRow]) -> tuple[str, ...]:
    """The parameters that every trial has and that are not the same in all of them."""
    if not trials:
        return ()
    return tuple(
        name
        for name in trials[0].params
        if all(name in t.params for t in trials) and len({t.params[name] for t in trials}) > 1
    )


def _evaluate(
    params: Sequence[Mapping[str, Scalar]],
    scores: Sequence[float],
    distributions: Mapping[str, Any],
    goal: Goal,
) -> Mapping[str, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The direction belongs to the study: without it the worst trials would pass for the best.
    study = optuna.create_study(direction=goal, storage=optuna.storages.InMemoryStorage())
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=dict(own), distributions=dict(distributions), value=score
            )
            for own, score in zip(params, scores, strict=True)
        ]
    )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    raw = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    total = sum(value for value in raw.values() if math.isfinite(value))
    return {name: value / total if total > 0 else 0.0 for name, value in raw.items()}


def _distribution(values: Sequence[Scalar], logarithmic: bool) -> Any:
    from optuna import distributions

    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values) or len(set(values)) <= 4:
        return distributions.CategoricalDistribution(sorted(set(values), key=str))
    low, high = min(numbers), max(numbers)
    if all(isinstance(v, int) for v in numbers):
        return distributions.IntDistribution(int(low), int(high), log=logarithmic and low > 0)
    return distributions.FloatDistribution(float(low), float(high), log=logarithmic and low > 0)
