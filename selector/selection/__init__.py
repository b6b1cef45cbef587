"""Pure statistics on stored predictions: who leads, how sure that is, and who is tied."""

from selector.selection.best import best_candidate
from selector.selection.leaderboard import build

__all__ = ["best_candidate", "build"]
