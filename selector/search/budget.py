"""When a study ends: one pure function over its trials."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from selector.records import Goal, TrialOutcome
from selector.spec.schema import BudgetSpec

FINISHED = ("complete", "pruned", "failed")
_BY_FAILURES = "(budget.failures)"


def stop_reason(
    budget: BudgetSpec,
    trials: Sequence[TrialOutcome],
    *,
    goal: Goal,
    seconds: float,
    limit: int | None,
    forgiven: Collection[int] = (),
) -> str | None:
    """Why no further trial is to start, or None.

    `trials` are those that finished or run, `seconds` the wall time of the study so far, `limit`
    the number of trials after which the sampler has nothing new to propose. Failures of the trials
    `forgiven`, those of earlier runs, do not count: their cause may be mended by now.
    """
    # A trial that is run again counts as that other trial.
    done = [t for t in trials if t.state in FINISHED and not t.retried]
    allowed = budget.trials if limit is None else min(budget.trials, limit)
    if trials_left(budget, trials, limit=limit) == 0:
        return f"{allowed} trials" if allowed == budget.trials else f"all {allowed} grid cells"
    if budget.time is not None and seconds >= budget.time:
        return "time"
    if budget.total_epochs is not None and epochs_used(budget, trials) >= budget.total_epochs:
        return f"{budget.total_epochs} epochs in total"
    if failed_in_a_row([t for t in done if t.number not in forgiven]) >= budget.failures:
        return f"{budget.failures} failures in a row {_BY_FAILURES}"
    if budget.target is not None and _reached(done, budget.target, goal=goal):
        return f"target {budget.target:g} reached"
    if budget.patience is not None and _stale(done, goal=goal) >= budget.patience:
        return f"{budget.patience} trials without a better score"
    return None


def trials_left(budget: BudgetSpec, trials: Sequence[TrialOutcome], *, limit: int | None) -> int:
    """How many trials may still start, by their number alone."""
    taken = sum((t.state in FINISHED and not t.retried) or t.state == "running" for t in trials)
    allowed = budget.trials if limit is None else min(budget.trials, limit)
    return max(0, allowed - taken)


def ended_by_failures(reason: str) -> bool:
    """Whether a study ended, as `stop_reason` says, because something keeps going wrong."""
    return _BY_FAILURES in reason


def epochs_left(budget: BudgetSpec, trials: Sequence[TrialOutcome]) -> int:
    """Epochs the next trial may run, at least 1."""
    if budget.total_epochs is None:
        return budget.epochs
    return max(1, min(budget.epochs, budget.total_epochs - epochs_used(budget, trials)))


def epochs_used(budget: BudgetSpec, trials: Sequence[TrialOutcome]) -> int:
    """Epochs of finished trials, and all that the running ones may still need.

    Those of a failed trial that is run again were spent all the same.
    """
    running = sum(t.state == "running" for t in trials)
    return sum(t.epochs for t in trials if t.state in FINISHED) + running * budget.epochs


def covered_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of (start, end) spans: time in which any of several runs ran."""
    total, reached = 0.0, -float("inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def failed_in_a_row(done: Sequence[TrialOutcome]) -> int:
    """How many of the last trials failed, one after the other."""
    count = 0
    for trial in sorted(done, key=lambda t: t.number, reverse=True):
        if trial.state != "failed":
            break
        count += 1
    return count


def _reached(done: Sequence[TrialOutcome], target: float, *, goal: Goal) -> bool:
    scores = [t.score for t in done if t.state == "complete" and t.score is not None]
    return any(s >= target if goal == "maximize" else s <= target for s in scores)


def _stale(done: Sequence[TrialOutcome], *, goal: Goal) -> int:
    """Finished trials since the best score was set."""
    sign = 1.0 if goal == "maximize" else -1.0
    best, since = -float("inf"), 0
    for trial in sorted(done, key=lambda t: t.number):
        value = sign * trial.score if trial.score is not None else -float("inf")
        better = trial.state == "complete" and value > best
        best, since = (value, 0) if better else (best, since + 1)
    return since
