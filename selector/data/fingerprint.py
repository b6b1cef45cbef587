"""The name of a data set's content: what was looked at, as one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from selector.records import Sample


def fingerprint(samples: Sequence[Sample], hashes: Sequence[str]) -> str:
    """SHA-256 over every sample's id, label, given split and content, in any order of samples.

    The drawn splits are not part of it: they follow from it and the study file's `data.split`.
    """
    rows = sorted(
        json.dumps([sample.id, sample.label, sample.split or "drawn", content])
        for sample, content in zip(samples, hashes, strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
