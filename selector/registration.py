"""A study enters the store once; later runs must mean the same study."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from selector.errors import ConflictError
from selector.records import DataSummary, StudyRow
from selector.search.storage import reachable
from selector.spec import StudySpec, spec_sha256, to_plain
from selector.store import Store, study_lock

# What may change between two runs of one study: none of it changes what a score means.
EDITABLE = ("budget", "description", "device", "funnel", "keep", "training.prefix_cache")
# Keys that studies stored by earlier versions lack, and what they mean there.
_ADDED = {"limits.device": "cpu", "limits.threads": 1}


def register(store: Store, spec: StudySpec, summary: DataSummary) -> StudyRow:
    """The stored study of this name: created now, or checked to be the same.

    Raises ConflictError with a diff when data, metric, space or anything else that gives the scores
    their meaning has changed; the store is then unchanged.
    """
    with reachable(store), study_lock(store, spec.name):
        stored = store.study(spec.name)
        if stored is None:
            row = StudyRow(
                name=spec.name,
                metric=spec.metric.name,
                goal=spec.metric.goal,
                spec=to_plain(spec),
                spec_sha256=spec_sha256(spec),
                data=summary,
                created_at=dt.datetime.now(dt.UTC),
            )
            store.create_study(row)
            return row
        refuse_drift(stored, spec, summary)
        if stored.spec_sha256 != spec_sha256(spec):
            store.update_spec(spec.name, to_plain(spec), spec_sha256(spec))
        return stored


def refuse_drift(stored: StudyRow, spec: StudySpec, summary: DataSummary) -> None:
    """Raise ConflictError when the study file or the data no longer mean the stored study."""
    lines = []
    old, new = {**_ADDED, **_flat(stored.spec)}, _flat(to_plain(spec))
    for key in sorted(old.keys() | new.keys()):
        if not _editable(key) and old.get(key) != new.get(key):
            lines.append(f"  {key}: {_shown(old, key)} -> {_shown(new, key)}")
    if stored.data.fingerprint != summary.fingerprint:
        was, now = _sizes(stored.data), _sizes(summary)
        lines.append(
            f"  data: {was} ({stored.data.fingerprint[:12]}) -> {now} ({summary.fingerprint[:12]})"
        )
    if lines:
        changes = "\n".join(lines)
        raise ConflictError(
            f"Study '{spec.name}' is stored with other settings, and its scores would no longer be "
            f"comparable:\n{changes}\nUndo the change, or start a new study: --set name=NEWNAME. "
            f"Only {', '.join(EDITABLE)} may change."
        )


def _editable(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in EDITABLE)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves.update(_flat(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _shown(leaves: Mapping[str, Any], key: str) -> str:
    return repr(leaves[key]) if key in leaves else "(absent)"


def _sizes(summary: DataSummary) -> str:
    return "/".join(str(summary.counts[s]) for s in ("train", "validation", "test")) + " images"
