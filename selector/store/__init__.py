"""The store: the only SQL. Studies, runs, trials and their results in SQLite or PostgreSQL."""

from selector.store.engine import safe_url
from selector.store.lock import study_lock
from selector.store.store import Store

__all__ = ["Store", "safe_url", "study_lock"]
