"""The store keeps what trials leave behind, alike on SQLite and PostgreSQL."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import os
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from selector.errors import (
    ConflictError,
    InputError,
    TrialFailedError,
    TrialLostError,
    UnknownNameError,
)
from selector.records import Lease, RunFailure, TrialCounts
from selector.store import Store
from selector.store.tables import RunTable, Table, TrialTable


def test_a_study_comes_back_as_it_went_in(store: Store, results: Any) -> None:
    put = results.study()
    store.create_study(put)
    got = store.study("flowers")
    assert got is not None
    assert dataclasses.replace(got, data=put.data) == put
    assert got.created_at.tzinfo == dt.UTC
    np.testing.assert_array_equal(got.data.validation_labels, put.data.validation_labels)
    assert got.data.validation_ids == put.data.validation_ids
    assert got.data.class_counts == put.data.class_counts


def test_params_keep_their_order_and_types(filled: Store) -> None:
    params = filled.trials("flowers")[0].params
    assert list(params) == ["backbone", "lr", "freeze_depth"]
    assert [type(value) for value in params.values()] == [str, float, int]


def test_an_unknown_study_is_none_when_asked_for_and_an_error_when_used(filled: Store) -> None:
    assert filled.study("flower") is None
    with pytest.raises(UnknownNameError, match="Did you mean 'flowers'"):
        filled.trials("flower")
    with pytest.raises(InputError, match="Known: flowers"):
        filled.require_study("flower")


def test_an_empty_store_says_how_to_start(store: Store) -> None:
    with pytest.raises(InputError, match="empty"):
        store.counts("flowers")


def test_a_study_name_is_taken_once(store: Store, results: Any) -> None:
    store.create_study(results.study())
    with pytest.raises(ConflictError, match="'flowers' exists already"):
        store.create_study(results.study())


def test_what_is_stored_of_a_study_can_be_replaced(store: Store, results: Any) -> None:
    first = results.study()
    store.create_study(first)
    changed = dataclasses.replace(
        first, spec={"budget": {"trials": 9}}, spec_sha256="c" * 64, version=2
    )
    store.update_study(changed)
    assert store.require_study("flowers").spec == {"budget": {"trials": 9}}
    assert store.require_study("flowers").spec_sha256 == "c" * 64
    assert store.require_study("flowers").version == 2
    with pytest.raises(InputError, match="Unknown study 'roses'"):
        store.update_study(dataclasses.replace(first, name="roses"))


def test_studies_are_listed_with_their_best_trial(filled: Store, results: Any) -> None:
    filled.create_study(results.study("empty"))
    lines = {line.name: line for line in filled.studies()}
    assert lines["empty"].best_score is None
    assert lines["empty"].counts == TrialCounts()
    flowers = lines["flowers"]
    assert flowers.best_trial == 1
    assert flowers.best_backbone == "toy:cnn"
    assert flowers.counts == TrialCounts(complete=3, pruned=1, failed=1, running=1)
    assert flowers.last_run_status == "running"


def test_the_best_of_a_minimized_metric_is_the_smallest(store: Store, results: Any) -> None:
    store.create_study(results.study(metric="log_loss"))
    run_id = store.begin_run(results.run_start())
    for number, score in enumerate([0.5, 0.2, 0.9]):
        store.start_trial("flowers", run_id, results.trial_start(number))
        end = dataclasses.replace(results.complete(number), score=score)
        store.finish_trial("flowers", end)
    assert store.studies()[0].best_trial == 1


def test_runs_record_how_they_ended(filled: Store, results: Any) -> None:
    first = filled.runs("flowers")[0]
    assert (first.status, first.ended_at) == ("running", None)
    filled.end_run(first.id, status="interrupted")
    second = filled.begin_run(results.run_start())
    ended, going = filled.runs("flowers")
    assert (ended.status, going.status) == ("interrupted", "running")
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.started_at
    assert going.id == second
    assert ended.environment == {"torch": "2.15"}


def _begin(store: Store, results: Any, host: str, pid: int) -> int:
    return store.begin_run(dataclasses.replace(results.run_start(), host=host, pid=pid))


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_killed_run_is_interrupted_once_the_next_one_begins(store: Store, results: Any) -> None:
    store.create_study(results.study())
    here, dead = socket.gethostname(), _dead_pid()
    killed = _begin(store, results, here, dead)
    store.start_trial("flowers", killed, results.trial_start(0))
    store.finish_trial("flowers", results.complete(0))
    alive = _begin(store, results, here, os.getpid())
    elsewhere = _begin(store, results, "another-host", dead)
    last = _begin(store, results, here, os.getpid())

    rows = {run.id: run for run in store.runs("flowers")}
    assert {run.id: run.status for run in rows.values()} == {
        killed: "interrupted",
        alive: "running",
        elsewhere: "running",
        last: "running",
    }
    # It lasted to its last word, not to the day on which somebody came back.
    assert rows[killed].ended_at == store.trials("flowers")[0].ended_at


def test_a_process_that_got_the_number_of_a_killed_one_is_another(
    store: Store, results: Any
) -> None:
    store.create_study(results.study())
    first = _begin(store, results, socket.gethostname(), os.getpid())
    with store.engine.begin() as connection:
        long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        connection.execute(update(RunTable).values(started_at=long_ago))
    _begin(store, results, socket.gethostname(), os.getpid())
    run = next(run for run in store.runs("flowers") if run.id == first)
    assert (run.status, run.ended_at) == ("interrupted", long_ago)


def test_runs_of_other_studies_are_left_alone(store: Store, results: Any) -> None:
    store.create_study(results.study())
    store.create_study(results.study("other"))
    start = dataclasses.replace(
        results.run_start("other"), host=socket.gethostname(), pid=_dead_pid()
    )
    store.begin_run(start)
    _begin(store, results, socket.gethostname(), os.getpid())
    assert store.runs("other")[0].status == "running"


def test_ending_an_unknown_run_is_a_conflict(store: Store) -> None:
    with pytest.raises(ConflictError, match="Run 7"):
        store.end_run(7, status="complete")


def test_why_a_run_ended_is_kept_without_the_password(store: Store, results: Any) -> None:
    run_id = results.fill(store)
    message = "Store 'postgresql://me:s3cret@db/x' is away"
    failure = RunFailure(cause="unavailable", message=message, trial=3, epoch=2)
    store.end_run(run_id, status="failed", failure=failure)
    (run,) = store.runs("flowers")
    assert run.failure == dataclasses.replace(failure, message=message.replace("s3cret", "***"))


def test_a_complete_trial_leaves_everything(filled: Store, results: Any) -> None:
    end = results.complete(1, accuracy=0.95)
    row = filled.trials("flowers")[1]
    assert (row.number, row.state, row.score) == (1, "complete", end.score)
    assert row.metrics == pytest.approx(end.candidate.metrics)
    assert (row.epochs, row.best_epoch, row.seconds) == (3, 2, 65.0)
    assert row.seed == 2**40 + 1
    assert row.checkpoint == "flowers/1.safetensors"
    assert row.checkpoint_sha256 == "b" * 64
    assert row.ended_at is not None
    assert row.started_at is not None
    assert row.ended_at >= row.started_at
    assert filled.class_scores("flowers", 1) == end.candidate.class_scores
    assert [e for n, e in filled.epochs("flowers") if n == 1] == list(end.epochs)


def test_predictions_come_back_bit_for_bit(filled: Store, results: Any) -> None:
    put = results.log_probabilities(0.95, 1)
    got = filled.log_probabilities("flowers", 1)
    assert got.dtype == np.float32
    assert got.shape == (60, 3)
    np.testing.assert_array_equal(got, put)


def test_predictions_of_all_candidates_are_read_one_by_one(filled: Store) -> None:
    predictions = filled.predictions("flowers")
    assert list(predictions) == [0, 1, 4]
    assert 2 not in predictions
    np.testing.assert_array_equal(predictions[4], filled.log_probabilities("flowers", 4))
    with pytest.raises(KeyError):
        predictions[2]


def test_a_pruned_trial_keeps_its_best_value_and_has_no_predictions(filled: Store) -> None:
    row = filled.trials("flowers")[2]
    assert (row.state, row.score, row.best_epoch) == ("pruned", 0.5, 1)
    assert row.parameters is None
    with pytest.raises(InputError, match="only complete trials"):
        filled.log_probabilities("flowers", 2)


def test_a_failed_trial_keeps_its_cause(filled: Store) -> None:
    row = filled.trials("flowers")[3]
    assert (row.state, row.failure_cause) == ("failed", "non_finite")
    assert row.failure_message == "loss is nan in epoch 1"


def test_an_unknown_trial_is_named_with_the_known_range(filled: Store) -> None:
    with pytest.raises(InputError, match=r"no trial 9\. Known: 0 to 5"):
        filled.log_probabilities("flowers", 9)


def test_a_trial_handed_out_again_starts_over(filled: Store, results: Any) -> None:
    run_id = filled.begin_run(results.run_start())
    filled.start_trial("flowers", run_id, results.trial_start(1, backbone="toy:other"))
    row = filled.trials("flowers")[1]
    assert (row.state, row.backbone, row.score, row.metrics) == ("running", "toy:other", None, {})
    assert not [e for n, e in filled.epochs("flowers") if n == 1]
    assert 1 not in filled.predictions("flowers")
    filled.finish_trial("flowers", results.complete(1))
    assert filled.trials("flowers")[1].state == "complete"


def test_telling_an_end_twice_changes_nothing(filled: Store, results: Any) -> None:
    filled.finish_trial("flowers", results.complete(1, accuracy=0.95))
    assert len([e for n, e in filled.epochs("flowers") if n == 1]) == 3


def test_a_released_trial_waits(filled: Store) -> None:
    filled.release_trial("flowers", 5)
    assert filled.trials("flowers")[5].state == "waiting"
    assert filled.counts("flowers").running == 0
    filled.release_trial("flowers", 99)  # taken by a worker that died before recording it
    with pytest.raises(ConflictError, match="Trial 1 of study 'flowers' is complete"):
        filled.release_trial("flowers", 1)


def test_who_lost_a_trial_hears_that_though_another_has_ended_it(filled: Store) -> None:
    with pytest.raises(TrialLostError):
        filled.release_trial("flowers", 1, lease=Lease(token="long-lost", seconds=180.0))
    assert filled.trials("flowers")[1].state == "complete"


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_a_score_that_is_no_number_is_no_candidate(
    filled: Store, results: Any, score: float | None
) -> None:
    end = dataclasses.replace(results.complete(5), score=score)
    with pytest.raises(TrialFailedError, match="finite"):
        filled.finish_trial("flowers", end)
    assert filled.trials("flowers")[5].state == "running"


@pytest.mark.parametrize("score", ["'Infinity'", "'-Infinity'", "'NaN'", "NULL"])
def test_the_database_itself_refuses_such_a_score(filled: Store, score: str) -> None:
    if filled.url.startswith("sqlite"):
        score = {"'Infinity'": "9e999", "'-Infinity'": "-9e999"}.get(score, "NULL")
    with pytest.raises(IntegrityError), filled.engine.begin() as connection:
        connection.execute(text(f"UPDATE selector_trials SET score = {score} WHERE number = 1"))


def test_metrics_and_losses_that_are_no_numbers_are_kept_as_nan(store: Store, results: Any) -> None:
    store.create_study(results.study())
    run_id = store.begin_run(results.run_start())
    store.start_trial("flowers", run_id, results.trial_start(0))
    end = results.complete(0)
    broken = dataclasses.replace(end.epochs[2], train_loss=math.inf, validation_loss=math.nan)
    candidate = dataclasses.replace(end.candidate, metrics={"f1_macro": 0.5, "auroc": math.nan})
    epochs = (*end.epochs[:2], broken)
    store.finish_trial("flowers", dataclasses.replace(end, epochs=epochs, candidate=candidate))
    row = store.trials("flowers")[0]
    assert row.metrics["f1_macro"] == 0.5
    assert math.isnan(row.metrics["auroc"])
    assert math.isnan(store.epochs("flowers")[2][1].train_loss)
    with store.engine.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM selector_metrics WHERE value IS NULL"))
    assert found == 1


def test_an_end_is_stored_whole_or_not_at_all(filled: Store, results: Any) -> None:
    end = results.complete(5)
    twice = (*end.epochs, end.epochs[0])
    with pytest.raises(IntegrityError):
        filled.finish_trial("flowers", dataclasses.replace(end, epochs=twice))
    assert filled.trials("flowers")[5].state == "running"
    assert 5 not in filled.predictions("flowers")


def test_deleting_a_study_leaves_no_row_behind(filled: Store, results: Any) -> None:
    filled.create_study(results.study("other"))
    filled.delete_study("flowers")
    assert [line.name for line in filled.studies()] == ["other"]
    with filled.engine.connect() as connection:
        left = {
            name: connection.scalar(select(func.count()).select_from(table))
            for name, table in Table.metadata.tables.items()
        }
    assert {name for name, count in left.items() if count} == {"selector_studies"}


def test_a_time_without_zone_is_refused(filled: Store) -> None:
    naive = update(TrialTable).values(ended_at=dt.datetime(2026, 1, 1))
    with pytest.raises(Exception, match="needs a time zone"), filled.engine.begin() as connection:
        connection.execute(naive)


def test_a_store_never_shows_its_password() -> None:
    from selector.store.engine import connect, parse_url

    opened = Store(connect(parse_url("postgresql://me:s3cret@db/selector")))
    assert "s3cret" not in repr(opened)
    assert "s3cret" in opened.url
