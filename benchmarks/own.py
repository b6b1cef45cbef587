"""A study through `selector run`, in a database and with caches of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selector.events import Observer
from selector.records import Leaderboard
from selector.run import run


def run_study(study: Mapping[str, Any], *, home: Path, observe: Observer) -> Leaderboard:
    """Run the study as the command line does; nothing is cached before, files go below `home`."""
    os.environ["SELECTOR_CACHE"] = str(home / "cache")
    os.environ["SELECTOR_ARTIFACTS"] = str(home / "artifacts")
    path = home / "study.yaml"
    path.write_text(json.dumps(study))
    return run(path, store=f"sqlite:///{home / 'selector.db'}", observe=observe)
