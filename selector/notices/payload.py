"""A notice as the JSON that is sent; docs/observability.md describes it for receivers."""

from __future__ import annotations

import json
import math
import socket
from dataclasses import asdict
from typing import Any

from selector.records import Notice

SCHEMA = "selector.notice/1"  # another number for another meaning; new keys may be added to it


def payload_of(notice: Notice) -> bytes:
    """The notice as one JSON object in UTF-8; numbers that are not finite are null."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "id": notice.id,
        "time": notice.time.isoformat(timespec="seconds"),
        "kind": notice.kind,
        "study": notice.study,
        "run": notice.run,
        "host": socket.gethostname(),
        "reason": notice.reason,
        "error": notice.error,
        "metric": {"name": notice.metric, "goal": notice.goal},
        "trials": asdict(notice.trials) if notice.trials else None,
        "best": asdict(notice.best) if notice.best else None,
        "details": dict(notice.details),
    }
    return json.dumps(_finite(document), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
