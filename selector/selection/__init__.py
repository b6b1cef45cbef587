"""Pure statistics on stored predictions: who leads, how sure that is, and who is tied."""

from selector.selection.best import best_candidate
from selector.selection.leaderboard import build
from selector.selection.proxies import audit

__all__ = ["audit", "best_candidate", "build"]
