"""Arrays and data summaries as bytes for the database, and back. Nothing is pickled."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np

from selector.records import DataSummary, Floats

_LEVEL = 1  # log-probabilities hardly compress further, and higher levels cost much more time


def pack_floats(values: Floats) -> bytes:
    """The values as little-endian float32 in row order, compressed; the shape is kept elsewhere."""
    return zlib.compress(np.ascontiguousarray(values, dtype="<f4").tobytes(), _LEVEL)


def unpack_floats(data: bytes, rows: int, columns: int) -> Floats:
    """What `pack_floats` packed, (rows, columns) float32."""
    flat = np.frombuffer(zlib.decompress(data), dtype="<f4")
    return flat.reshape(rows, columns).astype(np.float32)


def summary_to_plain(data: DataSummary) -> dict[str, Any]:
    """The readable part of a data summary, as plain JSON."""
    return {
        "class_names": list(data.class_names),
        "counts": dict(data.counts),
        "class_counts": {name: dict(counts) for name, counts in data.class_counts.items()},
        "skipped": list(data.skipped),
    }


def pack_validation(data: DataSummary) -> bytes:
    """The long part of a data summary, sample by sample: compressed JSON."""
    plain = {"ids": list(data.validation_ids), "labels": data.validation_labels.tolist()}
    return zlib.compress(json.dumps(plain).encode())


def unpack_summary(fingerprint: str, plain: dict[str, Any], validation: bytes) -> DataSummary:
    """The data summary from its two parts."""
    samples = json.loads(zlib.decompress(validation))
    return DataSummary(
        fingerprint=fingerprint,
        class_names=tuple(plain["class_names"]),
        counts=plain["counts"],
        class_counts=plain["class_counts"],
        validation_ids=tuple(samples["ids"]),
        validation_labels=np.array(samples["labels"], dtype=np.int64),
        skipped=tuple(plain["skipped"]),
    )
