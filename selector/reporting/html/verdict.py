"""The verdict in words: which candidate, how sure, and what to do next."""

from __future__ import annotations

from selector.records import Leaderboard
from selector.reporting import figures
from selector.reporting.html.material import Material


def verdict(material: Material) -> tuple[str, ...]:
    """A few sentences for a reader who reads nothing else."""
    board = material.board
    if not board.candidates:
        return (
            f"No trial has completed yet, so there is nothing to rank. "
            f"Continue with: selector run, or see why: selector show {board.study}",
        )
    return (*_winner(board), *_finals(board), _runner_up(board), *_next_steps(material))


def _winner(board: Leaderboard) -> tuple[str, ...]:
    best = board.candidates[0]
    samples = board.counts.get("validation", 0)
    return (
        f"Trial {best.trial} leads: {figures.safe(best.backbone)} with {board.metric} "
        f"{figures.score(best.score)} (95% interval "
        f"{figures.interval(best.ci_low, best.ci_high)}) on {samples} validation images, "
        f"at {figures.millions(best.parameters)} million parameters and "
        f"{figures.milliseconds(best.latency_ms)} ms an image.",
    )


def _finals(board: Leaderboard) -> tuple[str, ...]:
    """What the finals chose, and what the test split said of it."""
    chosen, expected = board.verdict, board.pick
    lines = []
    if expected is not None and expected.compared > 1:
        lines.append(
            f"It is the best of {expected.compared}, so its score is a little too good: expect "
            f"about {figures.score(expected.expected_score)} on new data of the same kind."
        )
    if chosen is not None:
        lines.append(f"After the finals the pick is trial {chosen.trial}: {chosen.reason}")
        if chosen.test_score is not None:
            lines.append(
                f"On the sealed test split it scores {figures.score(chosen.test_score)}, against "
                f"{figures.score(chosen.validation_score)} on validation."
            )
    return tuple(lines)


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
    return (
        f"{len(tied)} other {'candidate is' if len(tied) == 1 else 'candidates are'} within noise "
        f"of it, the runner-up (trial {second.trial}, {gap:.4f} behind) "
        f"{'among them' if second.tied_with_best else 'not'}. "
        f"{_smallest(board)}"
    )


def _smallest(board: Leaderboard) -> str:
    number = board.cheapest.get("parameters", board.candidates[0].trial)
    smaller = next(row for row in board.candidates if row.trial == number)
    if smaller.rank == 1:
        return "None of them is smaller."
    return (
        f"The smallest of them is trial {smaller.trial} ({figures.safe(smaller.backbone)}, "
        f"{figures.millions(smaller.parameters)} million parameters, {smaller.score:.4f}): "
        "if size matters, it is as good as far as these images can tell."
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
