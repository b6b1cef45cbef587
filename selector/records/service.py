"""What is asked of studies from outside a run, and what of theirs can be fetched."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# stopped: asked to, and not run again since. running: at least one run goes on. waiting: submitted,
# and no worker has taken it yet. The others say how the last run ended, or that the budget is used.
StudyState = Literal["stopped", "running", "waiting", "finished", "interrupted", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """Somebody asked the workers of a study to stop."""

    study: str
    who: str
    asked_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBundle:
    """An export that passed its gate: where it was written, and the hash of its bundle.json."""

    id: int
    study: str
    trial: int
    format: str
    host: str  # the folder is one of this machine
    folder: Path
    sha256: str
    bytes: int
    made_at: dt.datetime
