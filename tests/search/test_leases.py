"""A running trial is its worker's as long as its lease lasts, on each kind of database."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import psutil
import pytest
from sqlalchemy import event, text

from selector.errors import TrialLostError
from selector.events import Event
from selector.records import EpochRecord
from selector.search import claims as claims_module
from selector.search import objective
from selector.search.claims import Claim, Claims
from selector.search.owners import OWNER
from selector.settings import Settings
from selector.spec import StudySpec
from selector.store import Store
from selector.store.leases import LONGEST_SECONDS
from tests.search.conftest import ParseStudy, register_study
from tests.search.test_claims import held_elsewhere, open_claims, pruned, states, take

DAY = 86400.0


@pytest.fixture
def six(study: ParseStudy) -> StudySpec:
    return study("budget: {trials: 6}\n")


@pytest.fixture(autouse=True)
def _server_of_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' server may have been started a moment ago, when no lease is over."""
    monkeypatch.setattr(claims_module, "PATIENCE", 0.0)


def claims_of(
    store: Store, spec: StudySpec, run_id: int, *, lease_seconds: float = 180.0
) -> tuple[Claims, optuna.Study]:
    """Claims whose leases last as long as a test needs."""
    _, study = open_claims(store, spec, run_id)
    events: list[Event] = []
    settings = Settings(lease_seconds=lease_seconds)
    claims = Claims(store, study, spec, run_id=run_id, observe=events.append, settings=settings)
    return claims, study


def move_to_another_host(claim: Claim) -> None:
    """Nothing can be seen here of the process that holds the trial."""
    claim.trial.set_user_attr(OWNER, {**claim.trial.user_attrs[OWNER], "host": "far"})


def end_lease(store: Store, number: int, *, seconds: float = 0.0) -> None:
    """Let the lease of a trial end some seconds before now."""
    (left,) = [each.seconds_left for each in store.held_trials("flowers") if each.number == number]
    assert left is not None
    with store.engine.begin() as connection:
        connection.execute(
            text("UPDATE selector_trials SET lease_until = lease_until - :s WHERE number = :n"),
            {"s": left + seconds, "n": number},
        )


def record(epoch: int, score: float = 0.5) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, train_loss=1.0, validation_loss=1.0, score=score, lr=0.1, seconds=0.1
    )


def test_a_trial_of_another_host_is_left_alone_while_its_lease_lasts(
    store: Store, six: StudySpec
) -> None:
    claims, _ = claims_of(store, six, register_study(store, six))
    far = take(claims)
    move_to_another_host(far)
    assert take(claims).number != far.number


def test_a_trial_of_another_host_is_handed_out_again_when_its_lease_is_over(
    store: Store, six: StudySpec
) -> None:
    claims, _ = claims_of(store, six, register_study(store, six))
    far = take(claims)
    move_to_another_host(far)
    end_lease(store, far.number, seconds=1)
    again = take(claims)
    assert (again.number, again.params) == (far.number, far.params)


def test_a_stuck_process_of_this_host_loses_its_trial_too(store: Store, six: StudySpec) -> None:
    claims, _ = claims_of(store, six, register_study(store, six))
    stuck = take(claims)
    end_lease(store, stuck.number, seconds=1)
    assert take(claims).number == stuck.number


def test_whoever_lost_its_lease_writes_nothing(store: Store, six: StudySpec) -> None:
    claims, study = claims_of(store, six, register_study(store, six))
    lost = take(claims)
    objective.should_prune(lost, record(1, 0.25))
    end_lease(store, lost.number, seconds=1)
    again = take(claims)
    with pytest.raises(TrialLostError, match="handed out again"):
        objective.should_prune(lost, record(2, 0.75))
    with pytest.raises(TrialLostError, match="handed out again"):
        claims.end(lost, pruned(lost.number, 0.75))
    with pytest.raises(TrialLostError):
        claims.hand_back(lost)
    assert [row.state for row in store.trials(six.name)] == ["running"]
    assert study.trials[lost.number].intermediate_values == {0: 0.25}
    claims.end(again, pruned(again.number, 0.5))
    (row,) = store.trials(six.name)
    assert (row.state, row.score) == ("pruned", 0.5)
    with pytest.raises(TrialLostError):  # also when the other has ended it
        claims.end(lost, pruned(lost.number, 0.75))
    assert store.trials(six.name) == (row,)


def test_to_end_a_trial_twice_is_harmless(store: Store, six: StudySpec) -> None:
    """As after a database that failed just when it had committed."""
    claims, study = claims_of(store, six, register_study(store, six))
    claim = take(claims)
    claims.end(claim, pruned(claim.number))
    before = store.trials(six.name)
    claims.end(claim, pruned(claim.number))
    assert [(r.state, r.score, r.epochs) for r in store.trials(six.name)] == [
        (r.state, r.score, r.epochs) for r in before
    ]
    assert states(study)[claim.number] == optuna.trial.TrialState.PRUNED


def test_a_heartbeat_keeps_a_trial_and_ends_with_it(store: Store, six: StudySpec) -> None:
    claims, _ = claims_of(store, six, register_study(store, six), lease_seconds=3.0)
    claim = take(claims)
    move_to_another_host(claim)
    with claim.heartbeat.beating():
        time.sleep(4.0)  # longer than the lease
        (held,) = store.held_trials(six.name)
        assert held.seconds_left is not None and 1.0 < held.seconds_left <= 3.0
        assert take(claims).number != claim.number
    assert "selector-lease" not in {thread.name for thread in threading.enumerate()}


def test_a_dead_lease_is_over_after_its_time_and_two_seconds(
    store: Store, six: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, _ = claims_of(store, six, register_study(store, six), lease_seconds=1.0)
    spec = six.model_copy(update={"budget": six.budget.model_copy(update={"trials": 1})})
    waiting = Claims(store, claims._study, spec, run_id=1, settings=Settings(lease_seconds=1.0))
    dead = take(claims)
    move_to_another_host(dead)
    began = time.monotonic()
    again = waiting.take_or_wait()
    assert isinstance(again, Claim) and again.number == dead.number
    assert 0.9 < time.monotonic() - began < 1.0 + 2.0 + 2.0  # claims of a busy machine included


def test_a_wall_clock_a_day_off_loses_no_trial_and_keeps_none(
    store: Store, six: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = register_study(store, six)
    claims, _ = claims_of(store, six, run_id)
    here = take(claims)
    far = take(claims)
    move_to_another_host(far)
    for days in (-1, 1):
        with wall_clock_off(days * DAY, monkeypatch):
            other, _ = claims_of(store, six, run_id)
            taken = take(other)
            assert taken.number not in (here.number, far.number)
            other.hand_back(taken)
    end_lease(store, far.number, seconds=1)
    with wall_clock_off(-DAY, monkeypatch):
        assert take(claims).number == far.number


@contextmanager
def wall_clock_off(seconds: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The wall clock of this machine as someone set it: what programs read, and the boot time."""
    now, boot = time.time, psutil._pslinux.boot_time

    class Moved(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return dt.datetime.fromtimestamp(now() + seconds, tz)

    with monkeypatch.context() as moved:
        moved.setattr(time, "time", lambda: now() + seconds)
        moved.setattr(psutil._pslinux, "boot_time", lambda: boot() + seconds)
        for module in ("trials", "studies"):
            moved.setattr(f"selector.store.{module}.dt.datetime", Moved)
        yield


@pytest.mark.parametrize("zones", [("America/New_York", "Asia/Tokyo")])
def test_sessions_of_other_time_zones_agree_on_leases(
    postgres_url: str, six: StudySpec, zones: tuple[str, str]
) -> None:
    with Store.open(postgres_url) as west, Store.open(postgres_url) as east:
        for store, zone in zip((west, east), zones, strict=True):
            set_zone(store, zone)
        run_id = register_study(west, six)
        western, _ = claims_of(west, six, run_id)
        eastern, _ = claims_of(east, six, run_id)
        far = take(western)
        move_to_another_host(far)
        assert take(eastern).number != far.number
        (left,) = [e.seconds_left for e in east.held_trials(six.name) if e.number == far.number]
        assert left is not None and 120 < left <= 180
        end_lease(west, far.number, seconds=1)
        assert take(eastern).number == far.number


def set_zone(store: Store, zone: str) -> None:
    """Have every transaction of a store run in a time zone, whatever its connection says."""

    @event.listens_for(store.engine, "begin")
    def begin(connection: object) -> None:
        connection.exec_driver_sql(f"SET LOCAL TIME ZONE '{zone}'")  # type: ignore[attr-defined]

    with store.engine.begin() as connection:
        assert connection.scalar(text("SHOW TIME ZONE")) == zone


def test_no_lease_is_over_right_after_the_server_was_started(
    postgres_url: str, results: object
) -> None:
    with Store.open(postgres_url) as store:
        results.fill(store)  # type: ignore[attr-defined]
        lease_up = "UPDATE selector_trials SET lease_token = 't', lease_until = 1 WHERE number = 5"
        with store.engine.begin() as connection:
            connection.execute(text(lease_up))
            up = connection.scalar(
                text("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())")
            )
        (now,) = store.held_trials("flowers")
        (patient,) = store.held_trials("flowers", after_restart_seconds=float(up) + 60)
    assert now.seconds_left is not None and now.seconds_left < 0
    assert patient.seconds_left is not None and 50 < patient.seconds_left <= 60


def test_a_lease_from_before_the_machine_was_started_is_over(tmp_path, six: StudySpec) -> None:
    """SQLite's clock is the machine's own, which begins anew."""
    with Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store:
        claims, _ = claims_of(store, six, register_study(store, six))
        old = take(claims)
        move_to_another_host(old)
        end_lease(store, old.number, seconds=-LONGEST_SECONDS - 1)
        assert take(claims).number == old.number


def test_a_trial_that_an_older_version_took_is_its_own(store: Store, six: StudySpec) -> None:
    claims, _ = claims_of(store, six, register_study(store, six))
    old = take(claims)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE selector_trials SET lease_token=NULL, lease_until=NULL"))
    with held_elsewhere(old) as worker:
        assert take(claims).number != old.number
        worker.kill()
        worker.wait()
        assert take(claims).number == old.number
