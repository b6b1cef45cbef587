"""Arrays and data summaries as bytes for the database, and back. Nothing is pickled."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from typing import Any

import numpy as np
from sqlalchemy import Row

from selector.records import AlikePictures, DataAudit, DataSummary, Floats

_LEVEL = 1  # log-probabilities hardly compress further, and higher levels cost much more time


def pack_floats(values: Floats) -> bytes:
    """The values as little-endian float32 in row order, compressed; the shape is kept elsewhere."""
    return zlib.compress(np.ascontiguousarray(values, dtype="<f4").tobytes(), _LEVEL)


def unpack_floats(data: bytes, rows: int, columns: int) -> Floats:
    """What `pack_floats` packed, (rows, columns) float32."""
    flat = np.frombuffer(zlib.decompress(data), dtype="<f4")
    return flat.reshape(rows, columns).astype(np.float32)


def pack_predictions(log_probabilities: Floats) -> dict[str, Any]:
    """Log-probabilities (samples, classes) as values of the columns of `Predictions`."""
    samples, classes = log_probabilities.shape
    packed = pack_floats(log_probabilities)
    return {"samples": samples, "classes": classes, "log_probabilities": packed}


def unpack_predictions(row: Row[Any]) -> Floats:
    """The log-probabilities of a row that has the columns of `Predictions`."""
    return unpack_floats(row.log_probabilities, row.samples, row.classes)


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
    plain = {
        "ids": list(data.validation_ids),
        "labels": data.validation_labels.tolist(),
        "audit": dataclasses.asdict(data.audit),
    }
    return zlib.compress(json.dumps(plain).encode())


def splits_hash(data: DataSummary) -> str:
    """A hash that two studies share where they have the same images in the same splits.

    What is drawn for the test split follows from images, shares and seed. The seed shows in who
    validates, the shares in how many of each class lie where.
    """
    counts = {name: dict(each) for name, each in data.class_counts.items()}
    plain = json.dumps([data.fingerprint, list(data.validation_ids), counts], sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


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
        audit=_audit(samples.get("audit", {})),  # studies of the first versions have none
    )


def _audit(plain: dict[str, Any]) -> DataAudit:
    def alike(key: str) -> tuple[AlikePictures, ...]:
        return tuple(
            AlikePictures(tuple(each["ids"]), tuple(each["labels"]), tuple(each["splits"]))
            for each in plain.get(key, ())
        )

    return DataAudit(
        copies=alike("copies"),
        near=alike("near"),
        moved=tuple(plain.get("moved", ())),
        bad=tuple(plain.get("bad", ())),
        equality_only=plain.get("equality_only", 0),
    )
