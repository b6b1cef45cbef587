"""A study file that somebody sends: everything `run` does up to the first trial.

As a program (`python -m selector.service.submission`) it reads the study file from standard input
and writes one JSON document, so that a server can end it when it takes too long, and never holds
torch itself. The store is that of SELECTOR_STORE, the folder the current one.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from selector import data
from selector.admission import admit
from selector.environment import describe
from selector.errors import ProblemsError, SelectorError
from selector.events import Event, LimitsChecked
from selector.preflight import prepare
from selector.records import DataSummary, RunStart
from selector.registration import ACCEPTED, WEIGHTS, Registered
from selector.search.finals import refuse_other_folds
from selector.service.study_text import read_sent
from selector.settings import load_settings
from selector.spec import StudySpec, to_plain
from selector.store import Store
from selector.store.states import SUBMITTED


def submit(raw: bytes, *, store: Store, folder: Path) -> dict[str, Any]:
    """Register the study that `raw` describes; what the sender wants to know of it.

    Its relative paths start at `folder`. The device is not asked for, for workers have it. Raises
    what `run` raises before its first trial; the store is then as it was. A study that was stopped
    may go on.
    """
    spec = read_sent(raw, folder=folder)
    prepared = prepare(
        spec.model_copy(update={"device": "cpu"}), base=folder, observe=lambda _: None
    )
    prepared = replace(prepared, spec=spec)
    known = store.study(spec.name) is not None
    refuse_other_folds(store, spec)
    left_out: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, LimitsChecked):
            left_out.extend(event.left_out)

    registered, prepared = admit(prepared, store, observe=hear)
    _record(registered, prepared.spec, prepared.dataset, store=store, folder=folder)
    return {
        "study": spec.name,
        "created": not known,
        "state": store.state(spec.name),
        "wider": list(registered.wider),
        "data": _data(prepared.dataset.summary),
        "left_out": left_out,
    }


def _record(
    registered: Registered, spec: StudySpec, dataset: data.Dataset, *, store: Store, folder: Path
) -> None:
    """A run that ends at once: from where paths start, with which weights; and no stop holds."""
    import torch

    name = spec.name
    run_id = store.begin_run(
        RunStart(
            study=name,
            command=SUBMITTED,
            spec=to_plain(spec),
            fingerprint=dataset.summary.fingerprint,
            environment={
                **describe(torch.device("cpu"), base=folder),
                WEIGHTS: dict(registered.weights),
                ACCEPTED: [],
            },
            host=socket.gethostname(),
            pid=os.getpid(),
        )
    )
    store.end_run(run_id, status="complete")
    store.lift_stop(name)


def _data(summary: DataSummary) -> dict[str, Any]:
    audit = summary.audit
    return {
        "fingerprint": summary.fingerprint,
        "counts": dict(summary.counts),
        "classes": len(summary.class_names),
        "audit": {
            "under_several_labels": sum(group.labels_differ for group in audit.copies),
            "near_duplicates_in_several_splits": sum(g.splits_differ for g in audit.near),
            "moved_to_train": len(audit.moved),
            "left_out": len(audit.bad),
        },
    }


def main() -> None:
    """Submit standard input; the document has `result`, or `exit_code` and `problems`."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no part of the answer
    document: dict[str, Any]
    try:
        raw = sys.stdin.buffer.read()
        with Store.open(load_settings().store) as store:
            document = {"result": submit(raw, store=store, folder=Path.cwd())}
    except SelectorError as error:
        document = {"exit_code": error.exit_code, "problems": list(_lines(error))}
    with answer:
        json.dump(document, answer)


def _lines(error: SelectorError) -> Iterator[str]:
    if isinstance(error, ProblemsError):
        yield from error.problems
    else:
        yield str(error)


if __name__ == "__main__":
    main()
