"""Stops of studies, and what each study is said to be doing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import socket
from typing import Any

import pytest

from selector.errors import InputError
from selector.store import Store
from selector.store.states import SUBMITTED


def begin(store: Store, results: Any, **changes: Any) -> int:
    """A run of `flowers` on this host, of a process that lives."""
    here = {"host": socket.gethostname(), "pid": os.getpid(), **changes}
    return store.begin_run(dataclasses.replace(results.run_start(), **here))


@pytest.fixture
def stored(store: Store, results: Any) -> Store:
    """A store with one study of five trials, none of which has run."""
    spec = {"name": "flowers", "search": {}, "budget": {"trials": 5}}
    store.create_study(results.study(spec=spec))
    return store


def test_a_stop_holds_for_all_runs_until_one_means_to_go_on(stored: Store, results: Any) -> None:
    first = begin(stored, results)
    assert stored.stop_of("flowers") is None
    before = dt.datetime.now(dt.UTC)

    stored.ask_to_stop("flowers", who="ann@box")

    worker = begin(stored, results)
    found = stored.stop_of("flowers", run_id=worker)
    assert found is not None and found.who == "ann@box"
    assert before <= found.asked_at <= dt.datetime.now(dt.UTC)
    assert stored.stop_of("flowers", run_id=first) == stored.stop_of("flowers") == found

    run = begin(stored, results)
    stored.lift_stop("flowers", before_run=run)

    assert stored.stop_of("flowers", run_id=run) is None
    assert stored.stop_of("flowers", run_id=run + 1) is None
    assert stored.stop_of("flowers") is None
    # Who had not heard of it by then still does.
    assert stored.stop_of("flowers", run_id=worker) == found


def test_a_second_stop_holds_for_the_run_that_lifted_the_first(stored: Store, results: Any) -> None:
    stored.ask_to_stop("flowers", who="ann@box")
    run = begin(stored, results)
    stored.lift_stop("flowers", before_run=run)

    stored.ask_to_stop("flowers", who="bob@box")

    found = stored.stop_of("flowers", run_id=run)
    assert found is not None and found.who == "bob@box"


def test_a_stop_can_be_lifted_for_whatever_begins_next(stored: Store, results: Any) -> None:
    old = begin(stored, results)
    stored.ask_to_stop("flowers", who="ann@box")

    stored.lift_stop("flowers")

    assert stored.stop_of("flowers", run_id=old) is not None
    assert stored.stop_of("flowers") is None
    assert stored.stop_of("flowers", run_id=begin(stored, results)) is None


def test_an_unknown_study_cannot_be_stopped(stored: Store) -> None:
    with pytest.raises(InputError, match="Did you mean 'flowers'"):
        stored.ask_to_stop("flower", who="ann@box")


def test_a_study_goes_with_its_stop_and_its_exports(stored: Store, tmp_path: Any) -> None:
    stored.ask_to_stop("flowers", who="ann@box")
    stored.record_bundle("flowers", 0, fmt="onnx", folder=tmp_path, sha256="a" * 64, size=2**40)
    (bundle,) = stored.bundles("flowers")
    assert (bundle.folder, bundle.bytes, bundle.host) == (tmp_path, 2**40, socket.gethostname())
    assert stored.bundle(bundle.id) == bundle

    stored.delete_study("flowers")

    assert stored.stop_of("flowers") is None
    assert stored.bundle(bundle.id) is None


def test_an_export_to_the_same_folder_replaces_the_earlier_one(
    stored: Store, tmp_path: Any
) -> None:
    for trial in (0, 1):
        stored.record_bundle("flowers", trial, fmt="onnx", folder=tmp_path, sha256="a" * 64, size=1)
    assert [bundle.trial for bundle in stored.bundles("flowers")] == [1]


def test_a_study_is_said_to_do_what_its_runs_do(stored: Store, results: Any) -> None:
    def state() -> str:
        (summary,) = stored.studies()
        assert stored.state("flowers") == summary.state
        return summary.state

    assert state() == "waiting"
    for status in ("interrupted", "failed", "complete"):
        run = begin(stored, results)
        assert state() == "running"
        stored.end_run(run, status=status)
        assert state() == ("finished" if status == "complete" else status)
    submission = begin(stored, results, command=SUBMITTED)
    stored.end_run(submission, status="complete")
    assert state() == "waiting"
    stored.ask_to_stop("flowers", who="ann@box")
    assert state() == "stopped"
    run = begin(stored, results)
    stored.lift_stop("flowers", before_run=run)
    assert state() == "running"


def test_a_run_whose_process_is_gone_does_not_go_on(stored: Store, results: Any) -> None:
    begin(stored, results, pid=2**22 + 1)  # beyond every process number
    assert stored.state("flowers") == "interrupted"
    begin(stored, results, host="elsewhere")
    assert stored.state("flowers") == "running"


def test_what_is_left_counts_running_trials_as_taken(stored: Store, results: Any) -> None:
    run = begin(stored, results)
    stored.start_trial("flowers", run, results.trial_start(0))
    stored.finish_trial("flowers", results.complete(0))
    stored.start_trial("flowers", run, results.trial_start(1))

    (summary,) = stored.studies()

    assert summary.trials_left == 3
