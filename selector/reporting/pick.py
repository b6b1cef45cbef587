"""Which candidate a report is about: the pick of the finals, before them who leads the search."""

from __future__ import annotations

from selector.records import Finalist, Leaderboard, LeaderboardRow
from selector.reporting import figures


def pick_of(board: Leaderboard) -> LeaderboardRow | None:
    """The candidate that is shown in detail; None where there is none yet.

    In an order by another metric than the finals', it is that order's first.
    """
    if finalist_of(board) is not None and board.verdict is not None:
        row = next((r for r in board.candidates if r.trial == board.verdict.trial), None)
        if row is not None:
            return row
    return board.candidates[0] if board.candidates else None


def finalist_of(board: Leaderboard) -> Finalist | None:
    """The pick as the finals saw it; None before they have ended, or in another metric's order."""
    if board.finals is None or board.verdict is None or board.finals.metric != board.metric:
        return None
    if not board.finals.decided:
        return None
    return next((f for f in board.finals.finalists if f.trial == board.verdict.trial), None)


def role_of(board: Leaderboard) -> str:
    """What the shown candidate is, for a heading: `trial 3, the pick`."""
    row = pick_of(board)
    if row is None:
        return "no candidate yet"
    return f"trial {row.trial}, {'the pick' if finalist_of(board) else 'which leads'}"


def reconciled(board: Leaderboard) -> str:
    """Why the pick is not the first of the search; empty where it is, or nothing was picked."""
    row, best = pick_of(board), board.candidates[0] if board.candidates else None
    if row is None or best is None or board.finals is None or row.trial == best.trial:
        return ""
    first = f"The search had trial {best.trial} first ({figures.score(best.score)})"
    again = next((f for f in board.finals.finalists if f.trial == best.trial), None)
    if again is None:
        return f"{first}, which was not in the finals."
    return (
        f"{first}, but that was one training with one seed: trained again, its mean is "
        f"{figures.score(again.mean)}, and the finals decide."
    )
