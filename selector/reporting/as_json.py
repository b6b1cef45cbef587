"""A page as one JSON document."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from selector.reporting.base import Page

# Legal inside JSON strings, but they would steer a terminal; `json` escapes those below 0x20 only.
_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def write(page: Page, *, width: int, color: bool) -> str:  # noqa: ARG001 - the family's signature
    """The page's document, indented; numbers that are not finite are null."""
    text = json.dumps(_plain(page.document()), indent=2, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, dt.datetime) else value
