"""A web page that really serves, of a store with a finished study."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import http.client
import json
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from selector.records import RunStart, StoredSchedule, TrialStart
from selector.service.web.server import listen, make_server, make_site
from selector.service.web.site import Site
from selector.store import Store
from selector.store.firing_tables import FiringTable
from tests.store.test_champions import NEW, decision

RUNNING = "and-one-that-runs"
NAME = "shown-in-the-browser"  # the study that has finished
TOKEN = "a-token-for-these-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LIMIT_SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Served:
    """A server that runs in a thread of this process."""

    site: Site
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; headers are written with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_SECONDS)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Served]:
    """Serve a site on a free port of the loopback."""
    server = make_server(site)
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            limit = time.monotonic() + LIMIT_SECONDS
            while not server.started:
                assert thread.is_alive() and time.monotonic() < limit
                time.sleep(0.01)
            yield Served(site, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


def run_of(store: Store, study: str) -> RunStart:
    """A run of a study that goes on here."""
    return RunStart(
        study=study,
        command="selector run study.yaml",
        spec={},
        fingerprint=store.require_study(study).data.fingerprint,
        environment={},
        host=socket.gethostname(),
        pid=os.getpid(),
    )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serves a store as it is told."""
    with contextlib.ExitStack() as stack:

        def start(url: str, **changes: Any) -> Served:
            store = stack.enter_context(Store.open(url))
            values: dict[str, Any] = {
                "host": "127.0.0.1",
                "folder": tmp_path,
                "artifacts": tmp_path / "artifacts",
                "token": TOKEN,
            }
            return stack.enter_context(serving(make_site(store, **{**values, **changes})))

        yield start


@pytest.fixture(scope="session")
def shown(finished_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page for the whole session, that no test changes anything through.

    Beside the finished study its store has a champion, a schedule whose latest due time was left
    out, and a study of which a trial runs.
    """
    folder = tmp_path_factory.mktemp("shown")
    source = Path(finished_url.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "selector.db")])
    with Store.open(f"sqlite:///{folder / 'selector.db'}") as store:
        champion = dataclasses.replace(NEW, study=NAME, trial=0)
        store.champions.decide(NAME, decision(), after=0, champion=champion)
        fill_schedule(store, NAME)
        leave_running(store, RUNNING)
        site = make_site(
            store, host="127.0.0.1", folder=folder, artifacts=folder / "artifacts", token=TOKEN
        )
        with serving(site) as served:
            yield served


def fill_schedule(store: Store, study: str) -> None:
    """A schedule of a study: one firing that ran, and then one that was left out."""
    schedule = StoredSchedule(
        study=study,
        file=f"/studies/{study}.yaml",
        cron="0 2 * * 1-5",
        timezone="Europe/Berlin",
        decided_until=dt.datetime.now(dt.UTC),
    )
    assert store.schedules.set(schedule, before=None)
    first = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    line = "swap: the challenger is better beyond noise: f1_macro 0.9312 against 0.9044"
    rows = [("ended", 0, line), ("skipped", None, "an earlier firing has not ended")]
    with store.engine.begin() as connection:
        for day, (state, code, said) in enumerate(rows):
            values = {"study": study, "due": first + dt.timedelta(days=day), "missed": 0}
            more = {"state": state, "exit_code": code, "line": said, "takeovers": 0}
            connection.execute(insert(FiringTable), {**values, **more})


def leave_running(store: Store, study: str) -> None:
    """A study of which a run goes on here, with one trial in it."""
    known = store.require_study(NAME)
    store.create_study(dataclasses.replace(known, name=study, spec={**known.spec, "name": study}))
    run = store.begin_run(run_of(store, study))
    trial = store.trials(NAME)[0]
    start = TrialStart(
        number=0,
        backbone=trial.backbone,
        params=trial.params,
        origin=trial.origin,
        seed=trial.seed,
    )
    store.start_trial(study, run, start)


@pytest.fixture
def own_url(finished_url: str, tmp_path: Path) -> str:
    """A copy of the finished study's store, to change."""
    source = Path(finished_url.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.execute("VACUUM INTO ?", [str(tmp_path / "own.db")])
    shutil.copytree(source.parent / "artifacts", tmp_path / "artifacts")
    return f"sqlite:///{tmp_path / 'own.db'}"


@pytest.fixture
def page(serve: Callable[..., Served], own_url: str) -> Served:
    """A page that reads and writes, of a store with a finished study."""
    return serve(own_url)
