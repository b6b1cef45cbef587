"""Finals: who is trained again, in what order that leaves them, and which one is the pick."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selector import metrics
from selector.records import (
    Finalist,
    FinalRun,
    Finals,
    Floats,
    Heat,
    Ints,
    Leaderboard,
    StudyRow,
    TrialRow,
)
from selector.selection import resample
from selector.selection.best import references
from selector.selection.certainty import positive_class
from selector.selection.intervals import percentile_interval
from selector.selection.resample import Array
from selector.selection.ties import tied_with_best


def finalists(
    board: Leaderboard, trials: Sequence[TrialRow], *, top: int, earlier: Iterable[int] = ()
) -> tuple[int, ...]:
    """The trials to be trained again: leaders, then references, then who was a finalist before.

    Leaders are the candidates that are tied with the best, at most `top` of them, for nobody else
    can win by chance alone; and of these only who has a checkpoint, for the pick is to be shipped.
    """
    if not board.candidates:
        return ()
    best = board.candidates[0].trial
    leaders = [
        row.trial
        for row in board.candidates
        if row.checkpoint is not None and (row.tied_with_best or row.trial == best)
    ]
    return tuple(dict.fromkeys([*leaders[:top], *references(trials), *earlier]))


def heats(chosen: Sequence[int], *, seed: int, seeds: int, folds: int) -> tuple[Heat, ...]:
    """Every training of the finals; whoever stops half way has trained all finalists alike.

    The seeds are those after the study's own: the search has chosen by that one.
    """
    return tuple(
        Heat(finalist, seed + number, fold)
        for number in range(1, seeds + 1)
        for fold in range(folds)
        for finalist in chosen
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the finals left: their runs, and what each complete run said of validation.

    `labels` are those of all folds, one after the other; `fold_sizes` says how many each has.
    """

    runs: Sequence[FinalRun]
    predictions: Mapping[int, Floats]
    labels: Ints
    fold_sizes: Sequence[int]


def standings(
    study: StudyRow,
    trials: Sequence[TrialRow],
    evidence: Evidence,
    *,
    seed: int,
    seeds: int,
    decided: bool,
) -> Finals:
    """The finalists in order of their mean score over `seeds` seeds after `seed` and all folds.

    A finalist with a failed run stands behind those without. Intervals and ties are 95%, and count
    both the luck of the validation samples and that of training.
    """
    rows = {trial.number: trial for trial in trials}
    folds = len(evidence.fold_sizes)
    wanted = {run.heat.finalist: run for run in evidence.runs}
    entries = [
        _entry(rows[trial], evidence, heats([trial], seed=seed, seeds=seeds, folds=folds))
        for trial in wanted
    ]
    maximize = study.goal == "maximize"
    entries.sort(key=lambda entry: _order(entry, maximize=maximize))
    certainty = _certainty(study, [e for e in entries if e.whole], evidence)
    reference = references(trials)
    return Finals(
        metric=study.metric,
        goal=study.goal,
        seeds=seeds,
        folds=folds if folds > 1 else None,
        samples=len(evidence.labels),
        finalists=tuple(
            _finalist(rank, entry, certainty.get(entry.trial.number), reference)
            for rank, entry in enumerate(entries, start=1)
        ),
        decided=decided,
    )


def choose(finals: Finals, candidates: Collection[int]) -> tuple[int | None, str]:
    """The pick and the reason for it in words; `candidates` are the trials that can be shipped.

    The pick has the best mean. What was pruned in the search has no stored network, nor has a
    candidate whose checkpoint was not kept.
    """
    able = [f for f in finals.finalists if not math.isnan(f.mean) and f.trial in candidates]
    if not able:
        return None, "no finalist that can be shipped completed a run"
    pick = able[0]
    parts = [_leads(pick, finals)]
    better = [f for f in finals.finalists[: finals.finalists.index(pick)] if f.failed == 0]
    if better:
        why = "was pruned in the search"
        if better[0].search_score is not None:
            why = "its checkpoint was not kept"
        parts.append(f"trial {better[0].trial} scored higher, but {why}")
    rivals = [f for f in finals.finalists if f is not pick and not math.isnan(f.mean)]
    reference = next((f for f in finals.finalists if f.reference), None)
    runner_up = next((f for f in rivals if f.rank > pick.rank), None)
    if runner_up is not None:
        both = " and reference" if runner_up is reference else ""
        parts.append(_beside(f"the runner-up{both}", runner_up))
    if reference is pick:
        parts.append("the pick is itself the reference")
    elif reference is not None and reference is not runner_up and reference in rivals:
        parts.append(_beside("the reference", reference))
    if len(pick.scores) == 1:
        parts.append("one run each says nothing about the luck of training")
    return pick.trial, "; ".join(parts)


# --- standings ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """One finalist: its scores by fold and seed, and the predictions behind them."""

    trial: TrialRow
    scores: Array  # (folds, seeds), NaN where there is none
    runs: tuple[tuple[int, int], ...]  # (number in the finals, fold) of complete runs
    failed: int

    @property
    def whole(self) -> bool:
        """Whether every run is complete."""
        return not bool(np.isnan(self.scores).any())

    @property
    def mean(self) -> float:
        """Of the runs there are; NaN without any."""
        known = self.scores[~np.isnan(self.scores)]
        return float(known.mean()) if known.size else math.nan


def _entry(trial: TrialRow, evidence: Evidence, wanted: Sequence[Heat]) -> _Entry:
    by_heat = {run.heat: run for run in evidence.runs}
    found = [by_heat.get(heat) for heat in wanted]
    complete = [run for run in found if run is not None and run.state == "complete"]
    values = [
        math.nan if run is None or run.state != "complete" or run.score is None else run.score
        for run in found
    ]
    # `heats` goes through the folds of one seed before it comes to the next seed.
    scores = np.array(values).reshape(-1, len(evidence.fold_sizes)).T
    return _Entry(
        trial=trial,
        scores=scores,
        runs=tuple((run.number, run.heat.fold) for run in complete),
        failed=sum(run is not None and run.state == "failed" for run in found),
    )


def _order(entry: _Entry, *, maximize: bool) -> tuple[bool, float, float, int]:
    mean = entry.mean
    worst = math.inf if math.isnan(mean) else -mean if maximize else mean
    size = math.inf if entry.trial.parameters is None else entry.trial.parameters
    return not entry.whole, worst, size, entry.trial.number


def _finalist(
    rank: int,
    entry: _Entry,
    certainty: tuple[float, float, bool] | None,
    reference: Collection[int],
) -> Finalist:
    low, high, tied = certainty or (math.nan, math.nan, False)
    known = entry.scores.T[~np.isnan(entry.scores.T)]
    return Finalist(
        rank=rank,
        trial=entry.trial.number,
        backbone=entry.trial.backbone,
        params=entry.trial.params,
        reference=entry.trial.number in reference,
        search_score=entry.trial.score if entry.trial.state == "complete" else None,
        mean=entry.mean,
        sd=float(known.std(ddof=1)) if known.size > 1 else math.nan,
        ci_low=low,
        ci_high=high,
        tied_with_best=tied,
        scores=tuple(float(score) for score in known),
        failed=entry.failed,
    )


def _certainty(
    study: StudyRow, entries: Sequence[_Entry], evidence: Evidence
) -> dict[int, tuple[float, float, bool]]:
    """Interval and tie of each finalist whose runs are all complete."""
    if not entries or any(
        number not in evidence.predictions for e in entries for number, _ in e.runs
    ):
        return {}
    observed = np.array([entry.mean for entry in entries])
    scores = _resampled_means(study, entries, evidence)
    scores += _training_luck(entries, scores.shape[1])
    tied = tied_with_best(scores, observed, maximize=study.goal == "maximize")
    worst, best = metrics.range_of(study.metric)
    return {
        entry.trial.number: (
            *np.clip(percentile_interval(row, entry.mean), worst, best).tolist(),
            bool(is_tied),
        )
        for entry, row, is_tied in zip(entries, scores, tied, strict=True)
    }


def _resampled_means(study: StudyRow, entries: Sequence[_Entry], evidence: Evidence) -> Array:
    """The mean over a finalist's runs on each resample of the samples, (finalists, resamples).

    All runs on a fold are scored on the same resamples of it, which makes differences paired.
    """
    index = positive_class(study)
    count = resample.resample_count(study.metric, len(evidence.labels))
    means = np.zeros((len(entries), count))
    ends = np.cumsum(evidence.fold_sizes)
    for fold, (size, end) in enumerate(zip(evidence.fold_sizes, ends, strict=True)):
        labels = evidence.labels[end - size : end]
        weights = resample.draw(labels, count, seed=(0, fold))
        for row, entry in enumerate(entries):
            for number in (number for number, at in entry.runs if at == fold):
                log_p = evidence.predictions[number]
                scored = resample.scores(
                    study.metric, labels, log_p, weights=weights, positive=index
                )
                means[row] += scored / entry.scores.size
    return means


def _training_luck(entries: Sequence[_Entry], resamples: int) -> Array:
    """Draws of how far a mean over so few seeds may be off, (finalists, resamples).

    The variance between seeds is pooled over finalists and folds, for each has too few runs to
    know its own; that it is estimated makes the draws those of Student's t with one denominator
    for all (Dunnett, JASA 50, 1955). With a single seed nothing is known of it, and all are 0.
    """
    folds, seeds = entries[0].scores.shape
    if seeds == 1:
        return np.zeros((len(entries), resamples))
    freedom = len(entries) * folds * (seeds - 1)
    pooled = float(np.mean([entry.scores.var(axis=1, ddof=1).mean() for entry in entries]))
    generator = np.random.default_rng(1)
    spread = np.sqrt(generator.chisquare(freedom, resamples) / freedom)
    draws = generator.standard_normal((len(entries), resamples)) / spread
    return np.asarray(draws * math.sqrt(pooled / (folds * seeds)))


# --- words --------------------------------------------------------------------------------------


def _leads(pick: Finalist, finals: Finals) -> str:
    runs = len(pick.scores)
    spread = "" if math.isnan(pick.sd) else f", standard deviation {pick.sd:.4f}"
    over = f"over {runs} runs" if runs > 1 else "in one run"
    return f"best mean {finals.metric} {over} ({pick.mean:.4f}{spread})"


def _beside(who: str, other: Finalist) -> str:
    named = f"{who}, trial {other.trial} ({other.mean:.4f}),"
    if other.failed or math.isnan(other.ci_low):
        return f"{named} did not complete all its runs"
    return f"{named} is {'within noise' if other.tied_with_best else 'worse beyond noise'}"
