"""The verdict in words: which candidate, how sure, and what to do next."""

from __future__ import annotations

import math

from selector.records import Finalist, Leaderboard, LeaderboardRow
from selector.reporting import figures
from selector.reporting.html.material import Material
from selector.reporting.pick import finalist_of, pick_of, reconciled


def verdict(material: Material) -> tuple[str, ...]:
    """A few sentences for a reader who reads nothing else."""
    board = material.board
    if not board.candidates:
        return (
            f"No trial has completed yet, so there is nothing to rank. "
            f"Continue with: selector run, or see why: selector show {board.study}",
        )
    found = finalist_of(board)
    words = _leader(board) if found is None else _pick(board, found)
    return (*words, *_tested(board), *_next_steps(material))


def _leader(board: Leaderboard) -> tuple[str, ...]:
    """Who leads the search, where no finals have decided."""
    best = board.candidates[0]
    return (
        f"Trial {best.trial} leads: {figures.safe(best.backbone)} with {_scored(board, best)}.",
        *_expected(board, best),
        _runner_up(board),
    )


def _pick(board: Leaderboard, found: Finalist) -> tuple[str, ...]:
    """Who won the finals, and how that fits with the order of the search."""
    row, verdict = pick_of(board), board.verdict
    assert row is not None and verdict is not None
    known = not math.isnan(found.ci_low)
    sure = f" (95% interval {figures.interval(found.ci_low, found.ci_high)})" if known else ""
    runs = f"{len(found.scores)} run{'' if len(found.scores) == 1 else 's'}"
    return (
        f"The pick is trial {row.trial}: {figures.safe(row.backbone)} with a mean {board.metric} "
        f"of {figures.score(found.mean)}{sure} over {runs} of the finals. The network that is "
        f"kept for it has {_scored(board, row)}.",
        *([text] if (text := reconciled(board)) else _expected(board, row)),
        f"Why: {figures.safe(verdict.reason)}.",
        *_cheaper(board, row),
    )


def _scored(board: Leaderboard, row: LeaderboardRow) -> str:
    """What a candidate scored, and at what cost."""
    return (
        f"{board.metric} {figures.score(row.score)} (95% interval "
        f"{figures.interval(row.ci_low, row.ci_high)}) on {board.counts.get('validation', 0)} "
        f"validation images, at {figures.millions(row.parameters)} million parameters and "
        f"{figures.milliseconds(row.latency_ms)} ms an image"
    )


def _expected(board: Leaderboard, row: LeaderboardRow) -> tuple[str, ...]:
    """What the best of many scores is worth on new data."""
    expected = board.pick
    if expected is None or expected.compared < 2 or expected.trial != row.trial:
        return ()
    if math.isnan(expected.expected_score):
        return ()
    return (
        f"Its {figures.score(expected.score)} is the best of {expected.compared}, and so a little "
        f"too good: expect about {figures.score(expected.expected_score)} on new data of the same "
        "kind.",
    )


def _tested(board: Leaderboard) -> tuple[str, ...]:
    """What the test split said of the pick."""
    chosen = board.verdict
    if chosen is None or chosen.test_score is None:
        return ()
    late = ", but it was chosen after that split had been opened" if chosen.after_opening else ""
    return (
        f"On the sealed test split trial {chosen.trial} scores {figures.score(chosen.test_score)}, "
        f"against {figures.score(chosen.validation_score)} on validation{late}.",
    )


def _runner_up(board: Leaderboard) -> str:
    if len(board.candidates) < 2:
        return "It is the only candidate, so there is nothing to compare it with."
    tied = [row for row in board.candidates if row.tied_with_best and row.rank != 1]
    second = board.candidates[1]
    gap = abs(board.candidates[0].score - second.score)
    if not tied:
        return (
            f"No other candidate is within noise of it: the runner-up, trial {second.trial}, is "
            f"{gap:.4f} behind, which resampling the validation images does not undo."
        )
    return " ".join(
        (
            f"{len(tied)} other {'candidate is' if len(tied) == 1 else 'candidates are'} within "
            f"noise of it, the runner-up (trial {second.trial}, {gap:.4f} behind) "
            f"{'among them' if second.tied_with_best else 'not'}.",
            *(_cheaper(board, board.candidates[0]) or ("None of them is smaller.",)),
        )
    )


def _cheaper(board: Leaderboard, row: LeaderboardRow) -> tuple[str, ...]:
    """The smallest of those that are tied in the search, where it is smaller than `row`."""
    number = board.cheapest.get("parameters", row.trial)
    smaller = next((r for r in board.candidates if r.trial == number), row)
    if smaller.trial == row.trial or smaller.parameters >= row.parameters:
        return ()
    return (
        f"The smallest of those that are tied in the search is trial {smaller.trial} "
        f"({figures.safe(smaller.backbone)}, {figures.millions(smaller.parameters)} million "
        f"parameters, {smaller.score:.4f}): if size matters, it is as good as far as these images "
        "can tell.",
    )


def _next_steps(material: Material) -> tuple[str, ...]:
    board = material.board
    best = board.candidates[0]
    tied = sum(row.tied_with_best for row in board.candidates)
    steps = []
    if tied > 1:
        steps.append(
            "To tell the tied ones apart, use more validation images: an interval is "
            f"{best.ci_high - best.ci_low:.3f} wide now, and four times as many images halve it."
        )
    late = [r for r in board.candidates[:5] if r.best_epoch == r.epochs]
    if len(late) >= 3:
        steps.append("Most leading trials were best in their last epoch: try more budget.epochs.")
    steps += _at_the_edge(material)
    return tuple(steps)


def _at_the_edge(material: Material) -> list[str]:
    """Ranges whose end the leading candidates crowd at."""
    found = []
    top = material.board.candidates[:5]
    search = material.study.spec.get("search", {})
    for name, domain in search.items():
        ends = domain.get("log_uniform") if isinstance(domain, dict) else None
        values = [row.params.get(name) for row in top]
        if not isinstance(ends, (list, tuple)) or len(top) < 3:
            continue
        numbers = [float(v) for v in values if isinstance(v, int | float)]
        low, high = float(ends[0]), float(ends[1])
        near = sum(v > high / (high / low) ** 0.1 for v in numbers)
        far = sum(v < low * (high / low) ** 0.1 for v in numbers)
        if max(near, far) >= 3:
            end, word = (high, "upper") if near >= far else (low, "lower")
            found.append(
                f"The leaders crowd at the {word} end of {figures.safe(name)} ({end:g}): "
                "widen its range."
            )
    return found
