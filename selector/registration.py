"""A study enters the store once; later runs must mean the same study."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selector.drift import EDITABLE, Drift, compare, made_otherwise
from selector.environment import made_by
from selector.errors import ConflictError
from selector.records import DataSummary, NetworkCost, StudyRow
from selector.search import versions
from selector.search.recipe import weights_of
from selector.search.storage import reachable
from selector.spec import StudySpec, from_plain, spec_sha256, to_plain
from selector.spec.limits import narrowed
from selector.store import Store, study_lock

WEIGHTS = "weights"  # in a run's environment: hashes of weight files by backbone
ACCEPTED = "accepted_drift"  # in a run's environment: what was changed on purpose


@dataclass(frozen=True, slots=True)
class Registered:
    """The stored study, and what this run says of its changes, for its row in the store."""

    study: StudyRow
    weights: Mapping[str, str]
    accepted: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()
    made_otherwise: tuple[str, ...] = ()


def register(
    store: Store,
    spec: StudySpec,
    summary: DataSummary,
    *,
    base: Path,
    accept_drift: bool = False,
    costs: Sequence[NetworkCost] = (),
) -> Registered:
    """The stored study of this name: created now, or checked to be the same.

    A wider search space or a new backbone makes the next version of the study and keeps all its
    trials. Raises ConflictError with a diff for any other change that touches what the scores mean;
    the store is then unchanged. With `accept_drift` only changes of metric, task or validation
    images are refused. By `costs` the study's limits leave networks out of its search.
    """
    weights = weight_hashes(spec, base=base)
    with reachable(store), study_lock(store, spec.name):
        stored = store.study(spec.name)
        if stored is None:
            created = _row(spec, summary, version=1, created_at=dt.datetime.now(dt.UTC))
            store.create_study(created)
            return Registered(created, weights)
        drift = drift_since(store, stored, spec, summary, weights=weights)
        _refuse(drift, spec.name, accept_drift=accept_drift)
        version = stored.version
        if drift.wider or any(line.startswith("  search.") for line in drift.doubtful):
            version = versions.begin_next(
                store,
                stored,
                before=narrowed(from_plain(stored.spec), store.costs(spec.name)),
                after=narrowed(spec, costs),
            )
        row = _row(spec, summary, version=version, created_at=stored.created_at)
        if (row.spec_sha256, row.data.fingerprint, row.version) != (
            stored.spec_sha256,
            stored.data.fingerprint,
            stored.version,
        ):
            store.update_study(row)
        return Registered(
            row,
            weights,
            accepted=drift.doubtful,
            wider=drift.wider,
            made_otherwise=_made_otherwise(store, spec.name),
        )


def drift_since(
    store: Store,
    stored: StudyRow,
    spec: StudySpec,
    summary: DataSummary,
    *,
    weights: Mapping[str, str],
) -> Drift:
    """What changed since a study was stored; `weights` as from `weight_hashes`."""
    before = _weights_before(store, stored)
    return compare(stored, spec, summary, weights_before=before, weights_now=weights)


def _refuse(drift: Drift, name: str, *, accept_drift: bool) -> None:
    refused = drift.forbidden if accept_drift else (*drift.forbidden, *drift.doubtful)
    if not refused:
        return
    changes = "\n".join(refused)
    ways = [
        "undo the change",
        "search in a new edition with selector renew FILE",
        "start another study with --fork NEWNAME",
    ]
    if not drift.forbidden:
        ways.append("go on all the same with --accept-drift, which is recorded")
    raise ConflictError(
        f"Study '{name}' is stored with other settings, and its scores would no longer be "
        f"comparable:\n{changes}\nEither {', or '.join(ways)}. Free to change: "
        f"{', '.join(EDITABLE)}, and the search space where it only grows."
    )


def _row(
    spec: StudySpec, summary: DataSummary, *, version: int, created_at: dt.datetime
) -> StudyRow:
    return StudyRow(
        name=spec.name,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        spec=to_plain(spec),
        spec_sha256=spec_sha256(spec),
        data=summary,
        created_at=created_at,
        version=version,
    )


def weight_hashes(spec: StudySpec, *, base: Path) -> dict[str, str]:
    """Hashes of the weight files that the study file names, by backbone."""
    found = {}
    for name in spec.backbone_names:
        weights = weights_of(spec, name, base=base)
        if weights not in ("pretrained", "random"):
            with Path(weights).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _made_otherwise(store: Store, name: str) -> tuple[str, ...]:
    """Scores of other versions stay comparable enough to go on, but nobody should go on unaware."""
    runs = store.runs(name)
    return made_otherwise(runs[-1].environment, made_by()) if runs else ()


def _weights_before(store: Store, stored: StudyRow) -> dict[str, str]:
    """The hashes of the latest run that named the backbone's file."""
    found: dict[str, str] = {}
    for run in store.runs(stored.name):
        found |= run.environment.get(WEIGHTS) or {}
    return found
