"""The schema is made once, is the one the tables describe, and leaves Optuna's alone."""

from __future__ import annotations

import multiprocessing as mp
import sys
from pathlib import Path

import optuna
import pytest
from sqlalchemy import inspect, text

from selector.errors import ConflictError
from selector.store import Store
from selector.store.migrate import HEAD, VERSION_TABLE, alembic_config


def _open(url: str, barrier: object, outcomes: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        Store.open(url).close()
        outcomes.put("ok")  # type: ignore[attr-defined]
    except BaseException as error:
        outcomes.put(repr(error))  # type: ignore[attr-defined]
        raise


def test_eight_processes_may_open_an_empty_database_at_once(store_url: str) -> None:
    context = mp.get_context("spawn" if sys.platform == "win32" else "forkserver")
    context.set_forkserver_preload(["selector.store"])
    barrier, outcomes = context.Barrier(8), context.Queue()
    processes = [
        context.Process(target=_open, args=(store_url, barrier, outcomes)) for _ in range(8)
    ]
    for process in processes:
        process.start()
    assert [outcomes.get(timeout=60) for _ in processes] == ["ok"] * 8
    for process in processes:
        process.join()


def test_the_newest_migration_is_the_one_the_program_expects() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_the_migrations_make_the_tables_that_the_program_describes(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from selector.store.tables import PREFIX, Table

    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _: kind != "table" or name.startswith(PREFIX),
            },
        )
        assert compare_metadata(context, Table.metadata) == []
        assert all(name.startswith(PREFIX) for name in inspect(connection).get_table_names())


def test_opening_again_does_not_load_alembic(tmp_path: Path) -> None:
    import subprocess

    url = f"sqlite:///{tmp_path / 'x.db'}"
    Store.open(url).close()
    code = (
        "import sys; from selector.store import Store; Store.open(sys.argv[1]).studies();"
        "print([m for m in ('alembic', 'optuna', 'pandas', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, url], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_schema_of_a_newer_program_is_left_alone(store_url: str) -> None:
    with Store.open(store_url) as store, store.engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ConflictError, match=r"'9999', made by a newer selector.*Upgrade"):
        Store.open(store_url)


@pytest.mark.parametrize("first", ["selector", "optuna"])
def test_optuna_lives_in_the_same_database(store_url: str, first: str) -> None:
    if first == "selector":
        Store.open(store_url).close()
    with_driver = store_url.replace("postgresql://", "postgresql+psycopg://")
    study = optuna.create_study(study_name="flowers", storage=with_driver)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    with Store.open(store_url) as store:
        assert store.studies() == ()
    again = optuna.load_study(study_name="flowers", storage=with_driver)
    assert len(again.trials) == 2


def test_the_schema_can_be_undone_and_made_again(store: Store) -> None:
    from alembic import command

    config = alembic_config()
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with store.engine.connect() as connection:
        assert inspect(connection).get_table_names() == [VERSION_TABLE]
    Store.open(store.url).close()
    assert store.studies() == ()


@pytest.mark.parametrize("url", ["sqlite://", "postgresql+psycopg://"])
def test_the_schema_can_be_written_as_sql(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    from alembic import command

    config = alembic_config()
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "head", sql=True)
    written = capsys.readouterr().out
    assert f"CREATE TABLE {VERSION_TABLE}" in written
    assert "CREATE TABLE selector_trials" in written
